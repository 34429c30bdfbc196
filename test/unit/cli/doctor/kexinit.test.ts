import { describe, expect, it } from 'vitest';
import {
  compare,
  type KexInit,
  onlyPostQuantum,
  readKexInit,
  readOpening,
} from '../../../../src/cli/doctor/kexinit.js';
import { uint32, wireStrings } from '../../../../src/ssh/wire.js';

const LISTS = [
  'curve25519-sha256,ext-info-s', // kex_algorithms
  'ssh-ed25519', // server_host_key_algorithms
  'aes128-ctr', // encryption_algorithms_client_to_server
  'aes256-ctr', // encryption_algorithms_server_to_client
  'hmac-sha1', // mac_algorithms_client_to_server
  'hmac-sha2-256', // mac_algorithms_server_to_client
  'zlib', // compression_algorithms_client_to_server
  'none', // compression_algorithms_server_to_client
  '', // languages_client_to_server
  '', // languages_server_to_client
];

/** The packet of RFC 4253, sections 6 and 7.1. */
function packet(type = 20): Buffer {
  const payload = Buffer.concat([
    Buffer.of(type),
    Buffer.alloc(16, 0xaa), // cookie
    wireStrings(...LISTS),
    Buffer.of(0), // first_kex_packet_follows
    uint32(0), // reserved
  ]);
  const padding = 4;
  return Buffer.concat([
    uint32(1 + payload.length + padding),
    Buffer.of(padding),
    payload,
    Buffer.alloc(padding),
  ]);
}

const GREETING = 'Mind the gap\r\nSSH-2.0-OpenSSH_9.2p1 Debian\r\n';

describe('the beginning of a conversation', () => {
  it('is lines, the identification and a KEXINIT', () => {
    const opening = readOpening(Buffer.concat([Buffer.from(GREETING), packet(), Buffer.from('more')]));
    expect(opening).toEqual({
      text: ['Mind the gap'],
      protocol: '2.0',
      software: 'OpenSSH_9.2p1 Debian',
      kexinit: {
        kex: ['curve25519-sha256', 'ext-info-s'],
        hostKey: ['ssh-ed25519'],
        cipher: ['aes256-ctr'],
        mac: ['hmac-sha2-256'],
        compression: ['none'],
      },
    });
  });

  it('cut off anywhere is what has arrived', () => {
    const whole = Buffer.concat([Buffer.from(GREETING), packet()]);
    for (let end = 0; end < whole.length; end++) {
      const { software, kexinit } = readOpening(whole.subarray(0, end));
      expect(software).toBe(end < GREETING.length ? null : 'OpenSSH_9.2p1 Debian');
      expect(kexinit).toBeNull();
    }
  });

  it('of another program is text', () => {
    const { text, software } = readOpening(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect({ text, software }).toEqual({ text: ['HTTP/1.1 400 Bad Request', ''], software: null });
  });

  it('with an impossible packet has no KEXINIT', () => {
    expect(readKexInit(packet(21))).toBeNull();
    expect(readKexInit(Buffer.concat([uint32(0xffffffff), packet()]))).toBeNull();
    expect(readKexInit(Buffer.concat([uint32(1), Buffer.of(255)]))).toBeNull();
    expect(readKexInit(Buffer.concat([uint32(0)]))).toBeNull();
  });
});

describe('what two sides have in common', () => {
  const side = (changes: Partial<KexInit> = {}): KexInit => ({
    kex: ['curve25519-sha256'],
    hostKey: ['ssh-ed25519'],
    cipher: ['aes256-ctr'],
    mac: ['hmac-sha2-256'],
    compression: ['none'],
    ...changes,
  });

  it('is what the client likes best', () => {
    const ours = side({ cipher: ['aes128-ctr', 'aes256-ctr'] });
    const theirs = side({ cipher: ['aes256-ctr', 'aes128-ctr'] });
    expect(compare(ours, theirs).agreed).toEqual([
      'curve25519-sha256',
      'ssh-ed25519',
      'aes128-ctr',
      'hmac-sha2-256',
    ]);
  });

  it('is not a sign that is no algorithm', () => {
    const ours = side({ kex: ['ext-info-c', 'kex-strict-c-v00@openssh.com', 'curve25519-sha256'] });
    const theirs = side({ kex: ['ext-info-c', 'kex-strict-c-v00@openssh.com', 'sntrup761x25519-sha512'] });
    expect(compare(ours, theirs).missing).toEqual({
      kind: 'key exchange',
      keyword: 'KexAlgorithms',
      offered: ['sntrup761x25519-sha512'],
    });
  });

  it('needs no MAC beside a cipher that authenticates', () => {
    const gcm = { cipher: ['aes128-gcm@openssh.com'] };
    expect(compare(side({ ...gcm, mac: ['a'] }), side({ ...gcm, mac: ['b'] })).missing).toBeNull();
    expect(compare(side({ mac: ['a'] }), side({ mac: ['b'] })).missing?.keyword).toBe('MACs');
  });

  it.each([
    'diffie-hellman-group14-sha1',
    'diffie-hellman-group1-sha1',
    'diffie-hellman-group-exchange-sha1',
  ])('%s is weak', (name) => {
    expect(compare(side({ kex: [name] }), side({ kex: [name] })).weak).toEqual([name]);
  });

  it.each(['ssh-rsa', 'ssh-dss'])('host keys of %s are weak', (name) => {
    expect(compare(side({ hostKey: [name] }), side({ hostKey: [name] })).weak).toEqual([name]);
  });

  it('what is usual today is not weak', () => {
    const usual = side({ kex: ['diffie-hellman-group16-sha512'], mac: ['hmac-sha2-256-etm@openssh.com'] });
    expect(compare(usual, usual).weak).toEqual([]);
  });

  it('tells a server that is ready for quantum computers', () => {
    const theirs = side({ kex: ['mlkem768x25519-sha256', 'curve25519-sha256'] });
    expect(compare(side(), theirs).postQuantum).toBe(true);
    expect(onlyPostQuantum(theirs.kex)).toBe(false);
    expect(onlyPostQuantum(['mlkem768x25519-sha256'])).toBe(true);
    expect(onlyPostQuantum([])).toBe(false);
  });
});
