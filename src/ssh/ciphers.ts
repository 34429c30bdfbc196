/**
 * Which cipher to ask for first. Encryption is what a transfer costs most at both ends; AES-GCM is several times
 * cheaper than anything else where the processor has instructions for it, and dearer than ChaCha20 where not.
 */
import { readFileSync } from 'node:fs';
import type { CipherAlgorithm } from 'ssh2';

const AES: readonly CipherAlgorithm[] = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'];
const CHACHA: readonly CipherAlgorithm[] = ['chacha20-poly1305@openssh.com'];

/** The cheapest ciphers, best first, for a machine that /proc/cpuinfo describes so; '' where there is none. */
export function cheapestCiphers(cpuinfo: string): CipherAlgorithm[] {
  const features = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo)?.[1];
  // Who does not say what it can do is a recent machine of another kind, all of which have it.
  const hasAes = features === undefined || features.split(/\s+/).includes('aes');
  return hasAes ? [...AES, ...CHACHA] : [...CHACHA, ...AES];
}

export function localCpuinfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'latin1');
  } catch {
    return '';
  }
}
