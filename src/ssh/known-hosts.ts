/**
 * known_hosts as OpenSSH reads it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): pure functions over the text of
 * the files. A line that cannot be read is skipped; one marked `@cert-authority` certifies keys that only the
 * `ssh` program can check, so it vouches for none and is named; a key marked `@revoked` is refused whatever
 * other lines say. Lines of PuTTY's sshhostkeys are known by their look and read as well.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { matchesWildcard } from '../base/wildcard.js';
import { readPuttyHostKey } from './putty-host-keys.js';

/** One readable line. */
export interface KnownHost {
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  readonly marker: 'none' | 'cert-authority' | 'revoked';
  /** Comma-separated patterns, or one hashed name. */
  readonly hosts: string;
  readonly keyType: string;
  /** The key as on the wire. */
  readonly key: Buffer;
  /** PuTTY wrote the line, and OpenSSH's tools cannot change it. */
  readonly isPutty: boolean;
}

export type Verdict =
  | { readonly kind: 'known'; readonly entry: KnownHost }
  | { readonly kind: 'changed'; readonly entry: KnownHost }
  | { readonly kind: 'revoked'; readonly entry: KnownHost }
  /** The key is none of those known, if any; `entry` is an authority that may have certified it. */
  | { readonly kind: 'certified'; readonly entry: KnownHost }
  | { readonly kind: 'unknown' };

const MARKERS = { '@cert-authority': 'cert-authority', '@revoked': 'revoked' } as const;

/** Reads one file. */
export function parseKnownHosts(text: string, file: string): KnownHost[] {
  const entries: KnownHost[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const fields = raw.trim().split(/[ \t]+/);
    if (fields[0] === '' || fields[0]?.startsWith('#')) continue;
    const where = { file, line: index + 1 };
    const putty = readPuttyHostKey(fields);
    if (putty !== null) {
      const { host, port, keyType, key } = putty;
      const hosts = knownHostName(host, port);
      entries.push({ ...where, marker: 'none', hosts, keyType, key, isPutty: true });
      continue;
    }
    const marker = markerOf(fields);
    const [hosts, keyType, encoded] = fields;
    if (marker === null || hosts === undefined || keyType === undefined || encoded === undefined) continue;
    const key = Buffer.from(encoded, 'base64');
    if (keyTypeOf(key) === keyType) entries.push({ ...where, marker, hosts, keyType, key, isPutty: false });
  }
  return entries;
}

/** Takes the marker off the front of a line; null for one that nobody knows. */
function markerOf(fields: string[]): KnownHost['marker'] | null {
  if (!fields[0]?.startsWith('@')) return 'none';
  const marker = fields.shift() ?? '';
  return Object.hasOwn(MARKERS, marker) ? MARKERS[marker as keyof typeof MARKERS] : null;
}

/** The name under which a server is known: lower case, with the port unless it is 22. */
export function knownHostName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/** Whether the host column of a line is about `name` (as from `knownHostName`). */
export function matchesHosts(hosts: string, name: string): boolean {
  if (hosts.startsWith('|')) return matchesHash(hosts, name);
  let matched = false;
  for (const item of hosts.toLowerCase().split(',')) {
    const negated = item.startsWith('!');
    if (!matchesWildcard(negated ? item.slice(1) : item, name)) continue;
    if (negated) return false;
    matched = true;
  }
  return matched;
}

function matchesHash(hosts: string, name: string): boolean {
  const [, version, salt, hash, more] = hosts.split('|');
  if (version !== '1' || salt === undefined || hash === undefined || more !== undefined) return false;
  const expected = Buffer.from(hash, 'base64');
  const actual = hashOf(name, Buffer.from(salt, 'base64'));
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

function hashOf(name: string, salt: Buffer): Buffer {
  return createHmac('sha1', salt).update(name, 'utf8').digest();
}

/**
 * What the files say about `key` of the server `name`. Another key counts as changed even when its type
 * differs: otherwise a stranger would only have to offer a type the user has not seen yet.
 */
export function judge(entries: readonly KnownHost[], name: string, key: Buffer): Verdict {
  const about = entries.filter((entry) => matchesHosts(entry.hosts, name));
  const revoked = about.find((entry) => entry.marker === 'revoked' && entry.key.equals(key));
  if (revoked !== undefined) return { kind: 'revoked', entry: revoked };
  const trusted = about.filter((entry) => entry.marker === 'none');
  const known = trusted.find((entry) => entry.key.equals(key));
  if (known !== undefined) return { kind: 'known', entry: known };
  const authority = about.find((entry) => entry.marker === 'cert-authority');
  if (authority !== undefined) return { kind: 'certified', entry: authority };
  const sameType = trusted.find((entry) => entry.keyType === keyTypeOf(key));
  const other = sameType ?? trusted[0];
  return other === undefined ? { kind: 'unknown' } : { kind: 'changed', entry: other };
}

/** The types of the keys known for `name`, in the order of the files. */
export function knownKeyTypes(entries: readonly KnownHost[], name: string): string[] {
  const about = entries.filter((entry) => entry.marker === 'none' && matchesHosts(entry.hosts, name));
  return [...new Set(about.map((entry) => entry.keyType))];
}

/** The line that makes `key` known for `hosts`, with its newline. */
export function formatKnownHost(hosts: string, key: Buffer): string {
  return `${hosts} ${keyTypeOf(key) ?? ''} ${key.toString('base64')}\n`;
}

/** Bytes of salt in a hashed name: as many as the hash has. */
export const SALT_LENGTH = 20;

/** `name` so that the file does not tell it: `|1|salt|hash` (ssh_config(5), HashKnownHosts). */
export function hashedName(name: string, salt: Buffer): string {
  return `|1|${salt.toString('base64')}|${hashOf(name, salt).toString('base64')}`;
}

/** The type a key on the wire says it has (RFC 4253, section 6.6), or null when it is malformed. */
export function keyTypeOf(key: Buffer): string | null {
  if (key.length < 4) return null;
  const length = key.readUInt32BE(0);
  if (length === 0 || length > 64 || length > key.length - 4) return null;
  return key.toString('latin1', 4, 4 + length);
}

/** As `ssh-keygen -l` shows it: `SHA256:` and base64 without padding. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** A key type as ssh names it to people: `ED25519`, `RSA`, `ECDSA`. */
export function keyTypeLabel(keyType: string | null): string {
  const label = /^(?:ssh-)?(ed25519|rsa|dss|ecdsa)/.exec(keyType ?? '')?.[1];
  return label === undefined ? 'unknown' : label.toUpperCase();
}
