import { describe, expect, it } from 'vitest';
import { acceptsKey, missingAlgorithms, offeredAlgorithms } from '../../../src/ssh/algorithms.js';
import { failure, SshFixture, settings, userKey } from '../../support/ssh-fixture.js';

const ssh = new SshFixture();

describe('the algorithms that are offered', () => {
  it('are those of the list that ssh2 knows, in its order', () => {
    const wanted = settings(22, {
      ciphers: ['aes256-ctr', 'chacha20-poly1305@openssh.com', 'aes128-ctr', 'made-up'],
      kexAlgorithms: ['sntrup761x25519-sha512@openssh.com', 'curve25519-sha256'],
      macs: ['umac-64-etm@openssh.com', 'hmac-sha2-512', 'hmac-sha2-256'],
      hostKeyAlgorithms: ['ssh-ed25519-cert-v01@openssh.com', 'rsa-sha2-512'],
    });
    expect(offeredAlgorithms(wanted, ['ssh-ed25519'])).toMatchObject({
      cipher: ['aes256-ctr', 'chacha20-poly1305@openssh.com', 'aes128-ctr'],
      kex: ['curve25519-sha256'],
      hmac: ['hmac-sha2-512', 'hmac-sha2-256'],
      serverHostKey: ['rsa-sha2-512'],
    });
    expect(missingAlgorithms(wanted)).toBeNull();
  });

  it('without a list begin with the known host keys', () => {
    expect(offeredAlgorithms(settings(22), ['ssh-ed25519']).serverHostKey).toMatchObject({
      prepend: ['ssh-ed25519'],
    });
  });

  it('change the default where a list begins with a sign', () => {
    const signs = settings(22, {
      ciphers: ['+aes128-cbc', '3des-cbc'],
      macs: ['-hmac-sha1'],
      kexAlgorithms: ['^ecdh-sha2-nistp256'],
    });
    expect(offeredAlgorithms(signs, [])).toMatchObject({
      cipher: { append: ['aes128-cbc', '3des-cbc'], prepend: [] },
      hmac: { remove: ['hmac-sha1'], append: [], prepend: [] },
      kex: { prepend: ['ecdh-sha2-nistp256'], remove: ['ecdh-sha2-nistp256'], append: [] },
    });
  });

  it('of which nothing is left are named', () => {
    const wanted = settings(22, { kexAlgorithms: ['sntrup761x25519-sha512@openssh.com'] });
    expect(missingAlgorithms(wanted)).toBe(
      'KexAlgorithms: of sntrup761x25519-sha512@openssh.com the built-in transport can do nothing: use -o transport=openssh',
    );
  });

  it('are what ssh2 takes, all of them, and log in', async () => {
    const server = await ssh.serve();
    for (const sign of ['+', '-', '^', '']) {
      const list = (...names: string[]) => [`${sign}${names[0]}`, ...names.slice(1)];
      await ssh.login(server, {
        password: 'correct horse',
        ciphers: list(
          '3des-cbc',
          'aes256-cbc',
          'aes192-cbc',
          'aes128-cbc',
          ...(sign === '-' ? [] : ['aes128-ctr']),
        ),
        macs: list('hmac-sha1-96', ...(sign === '-' ? [] : ['hmac-sha2-256'])),
        kexAlgorithms: list(
          'diffie-hellman-group14-sha1',
          'diffie-hellman-group-exchange-sha1',
          ...(sign === '-' ? [] : ['curve25519-sha256']),
        ),
      });
    }
  });
});

describe('keys that may be offered', () => {
  it.each<[string[], string, boolean]>([
    [[], 'ssh-ed25519', true],
    [['ssh-ed25519'], 'ssh-ed25519', true],
    [['ssh-ed25519'], 'ssh-rsa', false],
    [['rsa-sha2-256'], 'ssh-rsa', true],
    [['-ssh-ed25519'], 'ssh-ed25519', false],
    [['-ssh-rsa'], 'ssh-rsa', true],
    [['+ssh-rsa'], 'ssh-ed25519', true],
    [['^ssh-rsa'], 'ssh-ed25519', true],
  ])('%j: %s %s', (pubkeyAcceptedAlgorithms, type, expected) => {
    expect(acceptsKey({ pubkeyAcceptedAlgorithms }, type)).toBe(expected);
  });

  it('others are passed over', async () => {
    const server = await ssh.serve({ publicKeys: [userKey.blob] });
    const identityFiles = [ssh.keyFile(userKey.private)];
    await ssh.login(server, { identityFiles, pubkeyAcceptedAlgorithms: ['ssh-ed25519'] });
    await failure(
      ssh.login(server, { identityFiles, pubkeyAcceptedAlgorithms: ['rsa-sha2-512'] }),
      'authentication',
    );
  });
});
