import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { KeyFormatError } from '../../../src/ssh/foreign-key.js';
import { loadIdentity } from '../../../src/ssh/key-files.js';
import { isPuttyKey, openPuttyKey, parsePuttyKey } from '../../../src/ssh/putty-key.js';
import { PASSPHRASE, PUTTY_KEYS, type PuttyFixture } from '../../support/putty-keys.js';
import { failure, hostKey, person, SshFixture } from '../../support/ssh-fixture.js';

const ssh = new SshFixture();
const ALL: [string, PuttyFixture][] = Object.entries(PUTTY_KEYS);
const ENCRYPTED = ALL.filter(([, { isEncrypted }]) => isEncrypted);
const OPEN = ALL.filter(([, { isEncrypted }]) => !isEncrypted);
const V3 = PUTTY_KEYS['version 3, ed25519, Argon2id'].ppk;

const open = (ppk: string, passphrase = PASSPHRASE) =>
  openPuttyKey(parsePuttyKey(Buffer.from(ppk, 'latin1')), passphrase);

/** The line that begins so, changed. */
const changed = (ppk: string, start: string, change: (rest: string) => string) =>
  ppk.replace(new RegExp(`^(${start})(.*)$`, 'm'), (_, name, rest) => name + change(rest));

/** A character of base64 or hexadecimal that is another one. */
const otherFirst = (text: string) => (text.startsWith('A') ? 'B' : 'A') + text.slice(1);

describe.each(ALL)('%s', (_name, { ppk, public: line, isEncrypted }) => {
  test('is read as puttygen shows it', async () => {
    const file = parsePuttyKey(Buffer.from(ppk));
    expect(file).toMatchObject({ isEncrypted });
    expect(`${file.keyType} ${file.publicBlob.toString('base64')}`).toBe(line);
    const key = await open(ppk);
    expect(key?.isPrivateKey()).toBe(true);
    expect(`${key?.type} ${key?.getPublicSSH().toString('base64')}`).toBe(line);
  });

  test('with the line ends of Windows too', async () => {
    expect(await open(ppk.replaceAll('\n', '\r\n'))).not.toBeNull();
  });

  test('every file that was cut short is an error with a sentence', async () => {
    for (let length = 0; length < ppk.length - 2; length += 7) {
      const cut = ppk.slice(0, length);
      await expect((async () => open(cut))()).rejects.toThrow(KeyFormatError);
    }
  });

  test.each([
    ['the comment', 'Comment: ', () => 'somebody else'],
    ['the public half', 'Public-Lines: \\d\\n.{60}', otherFirst],
    ['the checksum', 'Private-MAC: ', (mac: string) => (mac.startsWith('0') ? '1' : '0') + mac.slice(1)],
    ['the length of the checksum', 'Private-MAC: ', (mac: string) => mac.slice(2)],
  ])('damage to %s is told, with the right passphrase', async (_what, start, change) => {
    const damaged = changed(ppk, start, change);
    expect(damaged).not.toBe(ppk);
    await expect(open(damaged)).rejects.toThrow(/checksum/);
  });
});

test.each(ENCRYPTED)('a wrong passphrase for %s is no damage', async (_name, { ppk }) => {
  expect(await open(ppk, 'wrong')).toBeNull();
  expect(await open(ppk, '')).toBeNull();
});

test.each(OPEN)('attack: the private half of %s was exchanged', async (_name, { ppk }) => {
  const damaged = changed(ppk, 'Private-Lines: \\d\\n.{40}', otherFirst);
  await expect(open(damaged)).rejects.toThrow(/checksum/);
});

describe('attack: a file made to hurt', () => {
  test.each<[string, string, RegExp]>([
    ['asks for all memory', changed(V3, 'Argon2-Memory: ', () => '999999999'), /Argon2-Memory/],
    ['asks for years', changed(V3, 'Argon2-Passes: ', () => '999999999'), /Argon2-Passes/],
    ['has a number that is none', changed(V3, 'Argon2-Passes: ', () => '1e3'), /Argon2-Passes/],
    ['has a hundred million lines', changed(V3, 'Public-Lines: ', () => '100000000'), /Public-Lines/],
    ['has another derivation', changed(V3, 'Key-Derivation: ', () => 'constructor'), /constructor/],
    ['has another cipher', changed(V3, 'Encryption: ', () => 'aes128-ctr'), /aes128-ctr/],
    ['has a kind of key of its own', V3.replace('ssh-ed25519', 'ssh-dss'), /ssh-dss, which is not supported/],
    ['says another type than its key', V3.replace('ssh-ed25519', 'ssh-rsa'), /another type/],
    ['is of version 1', V3.replace('File-3', 'File-1'), /format 1/],
    ['is of a later version', V3.replace('File-3', 'File-4'), /format 4/],
    ['holds no base64', changed(V3, 'Public-Lines: 2\\n', () => '!!!!'), /base64/],
    ['lacks a part of a block', changed(V3, 'Private-Lines: 1\\n', (text) => text.slice(4)), /missing/],
  ])('%s', (_what, ppk, message) => {
    expect(() => parsePuttyKey(Buffer.from(ppk))).toThrow(message);
  });

  test('costs that Argon2 cannot have', async () => {
    await expect(open(changed(V3, 'Argon2-Passes: ', () => '0'))).rejects.toThrow(KeyFormatError);
    await expect(open(changed(V3, 'Argon2-Parallelism: ', () => '900'))).rejects.toThrow(KeyFormatError);
  });
});

test('only a PuTTY key looks like one', () => {
  expect(isPuttyKey(Buffer.from(V3))).toBe(true);
  expect(isPuttyKey(Buffer.from(hostKey.private))).toBe(false);
  expect(isPuttyKey(Buffer.from(''))).toBe(false);
});

describe('logging in', () => {
  const blobOf = ({ public: line }: PuttyFixture) => Buffer.from(line.split(' ')[1] ?? '', 'base64');

  test.each(ALL.filter(([name]) => !name.includes('ecdsa')))('with %s', async (_name, fixture) => {
    const server = await ssh.serve({ publicKeys: [blobOf(fixture)] });
    const key = ssh.keyFile(fixture.ppk);
    const bob = person(PASSPHRASE);
    await ssh.login(server, { identityFiles: [key] }, bob);
    const asked = fixture.isEncrypted ? [`Enter passphrase for key '${key}': `] : [];
    expect(bob.questions).toEqual(asked);
  });

  test('a wrong passphrase is asked for again', async () => {
    const fixture = PUTTY_KEYS['version 3, ed25519, Argon2id'];
    const server = await ssh.serve({ publicKeys: [blobOf(fixture)] });
    const bob = person('wrong', PASSPHRASE);
    await ssh.login(server, { identityFiles: [ssh.keyFile(fixture.ppk)] }, bob);
    expect(bob.questions).toHaveLength(2);
    expect(bob.told).toContain('Bad passphrase.');
  });

  test('nobody types a passphrase for a key that the server does not know', async () => {
    const server = await ssh.serve();
    const key = ssh.keyFile(V3);
    const bob = person(PASSPHRASE);
    await failure(
      ssh.login(server, { identityFiles: [key], preferredAuthentications: ['publickey'] }, bob),
      'authentication',
    );
    expect(bob.questions).toEqual([]);
  });

  test('a damaged file ends the asking and is named', async () => {
    const fixture = PUTTY_KEYS['version 3, ed25519, Argon2id'];
    const server = await ssh.serve({ publicKeys: [blobOf(fixture)] });
    const key = ssh.keyFile(changed(fixture.ppk, 'Comment: ', () => 'x'));
    const bob = person(PASSPHRASE);
    const settings = { identityFiles: [key], preferredAuthentications: ['publickey'] };
    const message = await failure(ssh.login(server, settings, bob), 'key-file');
    expect(message).toContain(`the key file ${key} is damaged: its checksum is wrong`);
    expect(bob.questions).toHaveLength(1);
  });

  test('a file that others can read is not used', async () => {
    const key = ssh.keyFile(PUTTY_KEYS['version 3, ed25519, open'].ppk, 0o644);
    expect(await loadIdentity(key, false)).toMatchObject({ kind: 'problem' });
  });

  test('a file of rubbish is named in one sentence', async () => {
    const path = ssh.keyFile('');
    writeFileSync(path, 'PuTTY-User-Key-File-3: ssh-ed25519\n');
    expect(await loadIdentity(path, false)).toMatchObject({
      kind: 'problem',
      message: `the key file ${path} is damaged: it has no line Encryption`,
    });
  });
});
