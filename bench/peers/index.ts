/** All clients by name, and the programs that they need. */
import { findProgram, PROGRAM_PATH } from '../../test/support/packages.js';
import { must } from '../../test/support/run.js';
import { isRoot } from '../../test/support/user.js';
import { local } from './local.js';
import type { Peer } from './peer.js';
import { rclone } from './rclone.js';
import { RemoraPeer, type RemoraSettings } from './remora.js';
import { sftp } from './sftp.js';
import { sshfs } from './sshfs.js';
import { VARIANT_NAMES, type VariantName } from './variants.js';

const PLAIN = { sshfs, rclone, sftp } as const;

export type PeerName = 'remora' | VariantName | keyof typeof PLAIN;

export const PEER_NAMES: readonly PeerName[] = ['remora', ...VARIANT_NAMES, 'sshfs', 'rclone', 'sftp'];

/** Programs that the scenarios and the server need. */
const COMMON: Readonly<Record<string, string>> = {
  sshd: 'openssh-server',
  'sftp-server': 'openssh-sftp-server',
  'ssh-keygen': 'openssh-client',
  git: 'git',
  tar: 'tar',
  find: 'findutils',
  cmp: 'diffutils',
  grep: 'grep',
};

const INSTALL_TIMEOUT = 600_000;

const isVariant = (name: PeerName): name is VariantName => VARIANT_NAMES.some((each) => each === name);

/** The clients of these names, in that order, and the local directory behind them. */
export function peersNamed(
  names: readonly PeerName[],
  remora: Omit<RemoraSettings, 'variant'>,
): readonly Peer[] {
  const peers = names.map((name) => {
    if (name === 'remora') return new RemoraPeer({ ...remora, variant: null });
    return isVariant(name) ? new RemoraPeer({ ...remora, variant: name }) : PLAIN[name];
  });
  return [...peers, local];
}

/** Installs, as root on Debian, or names, otherwise, what is missing. */
export async function ensurePrograms(peers: readonly Peer[]): Promise<void> {
  const needed: Record<string, string> = { ...COMMON };
  for (const peer of peers) Object.assign(needed, peer.programs);
  const missing = async () => {
    const found = await Promise.all(Object.keys(needed).map(findProgram));
    return Object.entries(needed).filter((_, index) => found[index] === null);
  };
  const packages = [...new Set((await missing()).map(([, name]) => name))];
  if (packages.length > 0 && isRoot && (await findProgram('apt-get')) !== null) {
    const options = {
      env: { ...process.env, PATH: PROGRAM_PATH, DEBIAN_FRONTEND: 'noninteractive' },
      timeout: INSTALL_TIMEOUT,
    };
    await must('apt-get', ['update', '-q'], options);
    await must('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...packages], options);
  }
  const still = (await missing()).map(([program, name]) => `${program} (Debian package ${name})`);
  if (still.length > 0) throw new Error(`missing programs: ${still.join(', ')}`);
}
