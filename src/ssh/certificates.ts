/**
 * Keys that only the `ssh` program can log in with: certified ones, and those on security tokens. The embedded
 * transport would pass over them, so this is asked before it is chosen.
 */
import { access } from 'node:fs/promises';
import { agentBlobs, agentSocket } from './agents.js';
import { type Beyond, beyondSsh2, defaultKeyFiles, defaultTokenFiles, publicBlobOf } from './key-files.js';
import { keyTypeOf } from './known-hosts.js';
import { type ConnectSettings, expandHome, type Surroundings } from './settings.js';

/** A key or certificate that is at hand. */
export interface Credential {
  /** As a sentence names it: `the key /home/me/.ssh/id_ed25519_sk`. */
  readonly name: string;
  /** Null for a key of any kind that ssh2 can use. */
  readonly beyond: Beyond | null;
  /** The user has asked for this one. */
  readonly isNamed: boolean;
}

export type KeySettings = Pick<
  ConnectSettings,
  'preferredAuthentications' | 'certificateFiles' | 'identityFiles' | 'identitiesOnly' | 'identityAgent'
>;

/**
 * Why only the `ssh` program can log in with these, in half a sentence ("because …"), or null. A certificate is there
 * to be used; a token that nobody asked for does not matter where there is another key.
 */
export function beyondReason(credentials: readonly Credential[]): string | null {
  const certificate = credentials.find(({ beyond }) => beyond === 'certificate');
  if (certificate !== undefined) return `${certificate.name} is a certificate`;
  const hasOther = credentials.some(({ beyond }) => beyond === null);
  const token = credentials.find(
    ({ beyond, isNamed }) => beyond === 'security-key' && (isNamed || !hasOther),
  );
  return token === undefined ? null : `${token.name} is on a security token`;
}

/** Why the keys that are at hand for `settings` need the `ssh` program, in half a sentence, or null. */
export async function whyByKeys(settings: KeySettings, surroundings: Surroundings): Promise<string | null> {
  if (!settings.preferredAuthentications.includes('publickey')) return null;
  return beyondReason([
    ...(await credentialsOfFiles(settings, surroundings)),
    ...(await credentialsOfAgent(settings, surroundings)),
  ]);
}

async function credentialsOfFiles(
  { certificateFiles, identityFiles }: KeySettings,
  { home }: Surroundings,
): Promise<Credential[]> {
  const expanded = (paths: readonly string[]) => {
    return paths.filter((path) => path !== 'none').map((path) => expandHome(path, home));
  };
  const found: Credential[] = [];
  for (const path of expanded(certificateFiles)) {
    const beyond = beyondSsh2(await typeOf(path));
    if (beyond !== null) found.push({ name: path, beyond, isNamed: true });
  }
  const isNamed = identityFiles.length > 0;
  const keys = isNamed ? expanded(identityFiles) : [...defaultKeyFiles(home), ...defaultTokenFiles(home)];
  for (const path of keys) {
    const beside = `${path}-cert.pub`;
    const certificate = beyondSsh2(await typeOf(beside));
    if (certificate !== null) found.push({ name: beside, beyond: certificate, isNamed });
    const type = (await typeOf(path)) ?? (await typeOf(`${path}.pub`));
    if (type !== null || (await exists(path))) {
      found.push({ name: `the key ${path}`, beyond: beyondSsh2(type), isNamed });
    }
  }
  return found;
}

async function credentialsOfAgent(settings: KeySettings, surroundings: Surroundings): Promise<Credential[]> {
  const socket = settings.identitiesOnly ? null : agentSocket(settings.identityAgent, surroundings);
  const blobs = socket === null ? [] : await agentBlobs(socket);
  return blobs.map((blob) => {
    return { name: 'a key of the agent', beyond: beyondSsh2(keyTypeOf(blob)), isNamed: false };
  });
}

async function typeOf(path: string): Promise<string | null> {
  const blob = await publicBlobOf(path);
  return blob === null ? null : keyTypeOf(blob);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
