import { describe, expect, it } from 'vitest';
import { cheapestCiphers, localCpuinfo } from '../../../src/ssh/ciphers.js';

const first = (cpuinfo: string) => cheapestCiphers(cpuinfo)[0];

describe('the cipher asked for first', () => {
  it.each([
    ['x86 with AES', 'processor\t: 0\nflags\t\t: fpu vme aes avx\n', 'aes128-gcm@openssh.com'],
    ['x86 without', 'processor\t: 0\nflags\t\t: fpu vme sse2\n', 'chacha20-poly1305@openssh.com'],
    ['ARM with AES', 'BogoMIPS\t: 38.40\nFeatures\t: fp asimd aes pmull\n', 'aes128-gcm@openssh.com'],
    [
      'ARM without',
      'BogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32\n',
      'chacha20-poly1305@openssh.com',
    ],
    ['a name that only begins so', 'flags\t\t: aes_not vaes\n', 'chacha20-poly1305@openssh.com'],
    ['a machine that says nothing', '', 'aes128-gcm@openssh.com'],
  ])('%s', (_what, cpuinfo, cipher) => {
    expect(first(cpuinfo)).toBe(cipher);
    expect(cheapestCiphers(cpuinfo)).toHaveLength(3);
  });

  it('is found for this machine', () => {
    expect(first(localCpuinfo())).toMatch(/@openssh\.com$/);
  });
});
