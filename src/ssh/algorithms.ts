/**
 * Which algorithms ssh2 offers. A list of ssh_config is obeyed as far as ssh2 knows its entries (it has neither
 * UMAC nor post-quantum key exchange); without one, what is cheap and safe comes first.
 */
import type {
  AlgorithmList,
  Algorithms,
  CipherAlgorithm,
  KexAlgorithm,
  MacAlgorithm,
  ServerHostKeyAlgorithm,
} from 'ssh2';
import { logger } from '../base/log.js';
import { printable } from '../base/printable.js';
import { cheapestCiphers, localCpuinfo } from './ciphers.js';
import { ConnectError } from './errors.js';
import type { ConnectSettings } from './settings.js';

const log = logger('ssh');

/** What ssh2 can do, in its own order, without what no server should be offered (RC4, DSA, MD5, group 1). */
const CIPHERS: readonly CipherAlgorithm[] = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
  'chacha20-poly1305@openssh.com',
  'aes256-cbc',
  'aes192-cbc',
  'aes128-cbc',
  '3des-cbc',
];
const KEX: readonly KexAlgorithm[] = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'ecdh-sha2-nistp521',
  'diffie-hellman-group-exchange-sha256',
  'diffie-hellman-group14-sha256',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group18-sha512',
  'diffie-hellman-group-exchange-sha1',
  'diffie-hellman-group14-sha1',
];
const MACS: readonly MacAlgorithm[] = [
  'hmac-sha2-256-etm@openssh.com',
  'hmac-sha2-512-etm@openssh.com',
  'hmac-sha1-etm@openssh.com',
  'hmac-sha2-256',
  'hmac-sha2-512',
  'hmac-sha1',
  'hmac-sha1-96',
];
const HOST_KEYS: readonly ServerHostKeyAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
  'ssh-rsa',
];

type Wanted = Pick<
  ConnectSettings,
  'ciphers' | 'kexAlgorithms' | 'macs' | 'hostKeyAlgorithms' | 'compression'
>;

/**
 * For ssh2's `algorithms`.
 * @param knownHostKeys those of the keys that are known, best first
 * @throws ConnectError 'protocol' for a list of which nothing is left
 */
export function offeredAlgorithms(
  wanted: Wanted,
  knownHostKeys: readonly ServerHostKeyAlgorithm[],
): Algorithms {
  const kex = offered('KexAlgorithms', wanted.kexAlgorithms, KEX);
  const hmac = offered('MACs', wanted.macs, MACS);
  return {
    cipher: offered('Ciphers', wanted.ciphers, CIPHERS) ?? prefer(cheapestCiphers(localCpuinfo())),
    serverHostKey: offered('HostKeyAlgorithms', wanted.hostKeyAlgorithms, HOST_KEYS) ?? prefer(knownHostKeys),
    ...(kex === null ? {} : { kex }),
    ...(hmac === null ? {} : { hmac }),
    compress: wanted.compression
      ? ['zlib@openssh.com', 'zlib', 'none']
      : ['none', 'zlib@openssh.com', 'zlib'],
  };
}

/** Whether a key of this type may be offered; an RSA key may be with any of its signatures. */
export function acceptsKey(
  { pubkeyAcceptedAlgorithms: list }: Pick<ConnectSettings, 'pubkeyAcceptedAlgorithms'>,
  type: string,
): boolean {
  const [first = ''] = list;
  const algorithms = type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'] : [type];
  if (/^[+^]/.test(first) || first === '') return true;
  const removed = [first.slice(1), ...list.slice(1)];
  return algorithms.some((each) => (first.startsWith('-') ? !removed.includes(each) : list.includes(each)));
}

/** Why ssh2 cannot offer what is wanted; null where it can. */
export function missingAlgorithms(wanted: Wanted): string | null {
  try {
    offeredAlgorithms(wanted, []);
    return null;
  } catch (error) {
    if (error instanceof ConnectError) return error.message;
    throw error;
  }
}

/**
 * `wanted` as far as ssh2 can; null where nothing is wanted. Where no ssh has completed it, the list may begin with
 * `+`, `-` or `^`, which change the default (ssh_config(5), Ciphers).
 */
function offered<T extends string>(
  keyword: string,
  wanted: readonly string[],
  supported: readonly T[],
): AlgorithmList<T> | null {
  const [first] = wanted;
  if (first === undefined) return null;
  const sign = first.charAt(0);
  const names = '+-^'.includes(sign) ? [first.slice(1), ...wanted.slice(1)] : wanted;
  const known = names.flatMap((name) => supported.find((each) => each === name) ?? []);
  if (known.length < names.length) log('of %s remains %s', keyword, known.join(', ') || 'nothing');
  switch (sign) {
    case '+':
      return { append: known, prepend: [], remove: known };
    case '-':
      return { append: [], prepend: [], remove: known };
    case '^':
      return prefer(known);
  }
  if (known.length > 0) return known;
  throw new ConnectError(
    'protocol',
    `${keyword}: of ${printable(wanted.join(', '))} the built-in transport can do nothing: use -o transport=openssh`,
  );
}

/** ssh2's default list with `best` moved to its front. */
function prefer<T>(best: readonly T[]): { remove: T[]; prepend: T[]; append: T[] } {
  return { remove: [...best], prepend: [...best], append: [] };
}
