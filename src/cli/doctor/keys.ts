/** The keys of this side: what each key file is good for, and what an agent holds. Nothing here leaves the machine. */
import { open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { agentBlobs, agentSocket } from '../../ssh/agents.js';
import { isDropbearKey } from '../../ssh/dropbear-key.js';
import { defaultKeyFiles, defaultTokenFiles, loadIdentity, publicBlobOf } from '../../ssh/key-files.js';
import { keyTypeOf } from '../../ssh/known-hosts.js';
import { isPuttyKey } from '../../ssh/putty-key.js';
import { type ConnectSettings, expandHome, type Surroundings } from '../../ssh/settings.js';
import { type Certificate, readCertificate } from './certificate.js';
import type { Speaker } from './host-case.js';

/** Enough of a key file to tell its format, in bytes. */
const HEAD = 4096;

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

/** Whose programs read and write it. */
export type KeyFormat = 'openssh' | 'putty' | 'dropbear';

export interface LocalKey {
  readonly path: string;
  readonly format: KeyFormat;
  readonly state: KeyState;
  /** In a sentence; empty for a usable key. */
  readonly problem: string;
  /** The public half as on the wire; null where it is not known. */
  readonly blob: Buffer | null;
  /** It is on a security token. */
  readonly isOnToken: boolean;
  /** There is a `.pub` file beside it. */
  readonly hasPublicFile: boolean;
}

/** A certificate of one of the keys. */
export interface LocalCertificate extends Certificate {
  readonly path: string;
}

export interface Keyring {
  readonly files: readonly LocalKey[];
  readonly certificates: readonly LocalCertificate[];
  /** The agent's socket; null for no agent. */
  readonly agent: string | null;
  readonly held: readonly Buffer[];
  /** Directories that others may write to, which makes sshd and ssh distrust what is in them. */
  readonly open: readonly { readonly path: string; readonly mode: number }[];
}

/** @param speaker whose ability decides which keys are of use */
export async function readKeyring(
  settings: ConnectSettings,
  surroundings: Surroundings,
  speaker: Speaker,
): Promise<Keyring> {
  const { home } = surroundings;
  const expanded = (paths: readonly string[]) =>
    paths.filter((path) => path !== 'none').map((path) => expandHome(path, home));
  const named = expanded(settings.identityFiles);
  const isNamed = settings.identityFiles.length > 0;
  const tokens = speaker === 'openssh' ? defaultTokenFiles(home) : [];
  const paths = isNamed ? named : [...defaultKeyFiles(home), ...tokens];
  const keys = await Promise.all(paths.map((path) => inspect(path, !isNamed, speaker)));
  const beside = [...expanded(settings.certificateFiles), ...paths.map((path) => `${path}-cert.pub`)];
  const certificates = await Promise.all(beside.map(localCertificate));
  const agent = agentSocket(settings.identityAgent, surroundings);
  const held = agent === null ? [] : await agentBlobs(agent);
  const directories = [...new Set([home, `${home}/.ssh`, ...named.map((path) => dirname(path))])];
  const opened = await Promise.all(directories.map(openDirectory));
  return {
    files: keys.flatMap((key) => key ?? []),
    certificates: certificates.flatMap((each) => each ?? []),
    agent,
    held,
    open: opened.flatMap((each) => each ?? []),
  };
}

async function inspect(path: string, optional: boolean, speaker: Speaker): Promise<LocalKey | null> {
  const loaded = await loadIdentity(path, optional);
  if (loaded === null) return null;
  const beside = await publicBlobOf(`${path}.pub`);
  const shown = (await publicBlobOf(path)) ?? beside;
  const isOnToken = shown !== null && keyTypeOf(shown)?.startsWith('sk-') === true;
  const common = { path, format: await formatOf(path), isOnToken, hasPublicFile: beside !== null };
  const key = (state: KeyState, problem: string, blob: Buffer | null): LocalKey => {
    return { ...common, state, problem, blob };
  };
  if (loaded.kind === 'problem') {
    const stats = await stat(path).catch(() => null);
    const isExposed = stats !== null && stats.uid === process.getuid?.() && (stats.mode & 0o077) !== 0;
    if (loaded.isMissing) return key('missing', loaded.message, shown);
    if (isExposed) {
      const mode = (stats.mode & 0o777).toString(8);
      return key('exposed', `${path} can be read by others (mode ${mode}) and is not used`, shown);
    }
    if (isOnToken && speaker === 'openssh') return key('usable', '', shown);
    return key('unusable', loaded.message, shown);
  }
  if (loaded.kind === 'public') return key('usable', '', loaded.publicKey.getPublicSSH());
  const blob = (loaded.kind === 'open' ? loaded.key : loaded.publicKey)?.getPublicSSH() ?? null;
  if (loaded.kind === 'open' && blob !== null && beside !== null && !beside.equals(blob)) {
    return key('mismatched', `${path}.pub is not the public half of ${path}`, blob);
  }
  if (loaded.kind === 'locked') return key('locked', `${path} is encrypted`, blob);
  return key('usable', '', blob);
}

/** By the beginning of the file; what cannot be read counts as OpenSSH's. */
async function formatOf(path: string): Promise<KeyFormat> {
  const stats = await stat(path).catch(() => null);
  const handle = stats?.isFile() ? await open(path).catch(() => null) : null;
  if (handle === null) return 'openssh';
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD), 0, HEAD, 0);
    const head = buffer.subarray(0, bytesRead);
    if (isPuttyKey(head)) return 'putty';
    return isDropbearKey(head) ? 'dropbear' : 'openssh';
  } finally {
    await handle.close();
  }
}

async function localCertificate(path: string): Promise<LocalCertificate | null> {
  const blob = await publicBlobOf(path);
  const certificate = blob === null ? null : readCertificate(blob);
  return certificate === null ? null : { ...certificate, path };
}

/** Null for one that only its owner may write to, that is not there, or that is everybody's (`/tmp`). */
async function openDirectory(path: string): Promise<Keyring['open'][number] | null> {
  const stats = await stat(path).catch(() => null);
  if (stats === null || (stats.mode & 0o022) === 0 || (stats.mode & 0o1000) !== 0) return null;
  return { path, mode: stats.mode & 0o777 };
}
