/** The keys of this side: what each key file is good for, and what an agent holds. Nothing here leaves the machine. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { agentBlobs, agentSocket } from '../../ssh/agents.js';
import { defaultKeyFiles, loadIdentity, publicBlobOf } from '../../ssh/key-files.js';
import { type ConnectSettings, expandHome, type Surroundings } from '../../ssh/settings.js';

export type KeyState =
  | 'usable'
  /** Encrypted; somebody must type its passphrase. */
  | 'locked'
  /** Others may read it, so it is not used. */
  | 'exposed'
  | 'missing'
  /** Not a key, or of a kind that cannot be used, or not readable. */
  | 'unusable'
  /** It has another public half than the `.pub` file beside it. */
  | 'mismatched';

export interface LocalKey {
  readonly path: string;
  readonly state: KeyState;
  /** In a sentence; empty for a usable key. */
  readonly problem: string;
  /** The public half as on the wire; null where it is not known. */
  readonly blob: Buffer | null;
}

export interface Keyring {
  readonly files: readonly LocalKey[];
  /** The agent's socket; null for no agent. */
  readonly agent: string | null;
  readonly held: readonly Buffer[];
  /** Directories that others may write to, which makes sshd and ssh distrust what is in them. */
  readonly open: readonly { readonly path: string; readonly mode: number }[];
}

export async function readKeyring(settings: ConnectSettings, surroundings: Surroundings): Promise<Keyring> {
  const { home } = surroundings;
  const named = settings.identityFiles
    .filter((path) => path !== 'none')
    .map((path) => expandHome(path, home));
  const isNamed = settings.identityFiles.length > 0;
  const paths = isNamed ? named : defaultKeyFiles(home);
  const keys = await Promise.all(paths.map((path) => inspect(path, !isNamed)));
  const agent = agentSocket(settings.identityAgent, surroundings);
  const held = agent === null ? [] : await agentBlobs(agent);
  const directories = [...new Set([home, `${home}/.ssh`, ...named.map((path) => dirname(path))])];
  const open = await Promise.all(directories.map(openDirectory));
  return { files: keys.flatMap((key) => key ?? []), agent, held, open: open.flatMap((each) => each ?? []) };
}

async function inspect(path: string, optional: boolean): Promise<LocalKey | null> {
  const loaded = await loadIdentity(path, optional);
  if (loaded === null) return null;
  if (loaded.kind === 'problem') {
    const stats = await stat(path).catch(() => null);
    const isExposed = stats?.uid === process.getuid?.() && stats !== null && (stats.mode & 0o077) !== 0;
    const mode = stats === null ? '' : ` (mode ${(stats.mode & 0o777).toString(8)})`;
    const state = loaded.isMissing ? 'missing' : isExposed ? 'exposed' : 'unusable';
    const problem =
      state === 'exposed' ? `${path} can be read by others${mode} and is not used` : loaded.message;
    return { path, state, problem, blob: await publicBlobOf(path) };
  }
  if (loaded.kind === 'public')
    return { path, state: 'usable', problem: '', blob: loaded.publicKey.getPublicSSH() };
  const blob = (loaded.kind === 'open' ? loaded.key : loaded.publicKey)?.getPublicSSH() ?? null;
  const beside = await publicBlobOf(`${path}.pub`);
  if (loaded.kind === 'open' && blob !== null && beside !== null && !beside.equals(blob)) {
    return { path, state: 'mismatched', problem: `${path}.pub is not the public half of ${path}`, blob };
  }
  if (loaded.kind === 'locked') return { path, state: 'locked', problem: `${path} is encrypted`, blob };
  return { path, state: 'usable', problem: '', blob };
}

/** Null for one that only its owner may write to, that is not there, or that is everybody's (`/tmp`). */
async function openDirectory(path: string): Promise<Keyring['open'][number] | null> {
  const stats = await stat(path).catch(() => null);
  if (stats === null || (stats.mode & 0o022) === 0 || (stats.mode & 0o1000) !== 0) return null;
  return { path, mode: stats.mode & 0o777 };
}
