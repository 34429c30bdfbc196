import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isDropbearKey, readDropbearKey } from '../../../src/ssh/dropbear-key.js';
import { KeyFormatError } from '../../../src/ssh/foreign-key.js';
import { hostKey, SshFixture } from '../../support/ssh-fixture.js';

const ssh = new SshFixture();

/** As dropbearkey 2022.83 wrote them; they log in nowhere. */
const KEYS: Readonly<Record<string, string>> = {
  'ssh-ed25519':
    'AAAAC3NzaC1lZDI1NTE5AAAAQMMXW6vTC9N9Q3EIfhERaX2DuHXmXg8xbmDnazp3WYMZU8S17XuS5I/0o2/EXVgZhvdx/YpMK6g1' +
    'CkXF18+RXFs=',
  'ecdsa-sha2-nistp256':
    'AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBARKmUPg++ttbKAiQdgmnbRmDMlG+hgzpZtLcJsFMHzHqNmI' +
    'dY7FPOT9sLnEzokwkeB85Mln9EVSLE88Wdn8TZQAAAAhAKElnfVPs4+03VE+56oU5aagXZ+DR84Hl7PG+mgGP8jq',
  'ssh-rsa':
    'AAAAB3NzaC1yc2EAAAADAQABAAAAgQCF/yGPGuVrMTjN8GnCVbv03lQ2vmyJDrQO9jYJAi8MzNMpKOEDgd/F1+2BUufEHMXWPKAU' +
    'P/F1j+mCzXTFDgvoUqfQlrtnD6iXi1Wko5YMK2IRNGq0dKSyMFSNV6Ritpa9HzG4NNYdEPF1+yXPUIuxtvyc46X7NYU2SyhyO3Y2' +
    'FwAAAIAljM0dOsbOxrDp+TTR+k+dO86ytqNYty+bP8D9vkhsGFwWXTfNUVBhs3SBuLdtPDjuo/eiJRcnwEgKWUQfUqPgMZmmu5l7' +
    'p920XPIFMdjglrt7cqp1akrsSk/Adp241qbib3cWxXZ0OgjOikWSOLtnBUboOnnDpQgo6uSMJyaA5QAAAEEAl2ZBP7uIMAORFzlV' +
    'a3DkgPxCj93oMCopJy7OTKUU4YetAUux4DQuXNAIuQfXeohAMGyKKJF/ouO8cFYSHAjgcwAAAEEA4pLelmmsIVBlsqhFUwhmOR61' +
    'OP1Xe0acVpYCMmE9yHYw1Yo3zpcbJFOZjk6b5VoO2QHPUMlySP/xSPEYx38ezQ==',
};

describe.each(Object.entries(KEYS))('%s', (type, encoded) => {
  const contents = Buffer.from(encoded, 'base64');

  test('is read', () => {
    expect(isDropbearKey(contents)).toBe(true);
    const key = readDropbearKey(contents);
    expect(key).toMatchObject({ type });
    expect(key.isPrivateKey()).toBe(true);
  });

  test('every file that was cut short is an error with a sentence', () => {
    for (let length = 4 + type.length; length < contents.length; length++) {
      expect(() => readDropbearKey(contents.subarray(0, length))).toThrow(KeyFormatError);
    }
  });

  test('a changed number is no key, or another one', () => {
    for (let at = 4 + type.length; at < contents.length; at += 5) {
      const changed = Buffer.from(contents);
      changed[at] = (changed[at] ?? 0) ^ 0x11;
      expect(() => readDropbearKey(changed)).toThrow(KeyFormatError);
    }
  });

  test('logs in', async () => {
    const blob = readDropbearKey(contents).getPublicSSH();
    const server = await ssh.serve({ publicKeys: [blob] });
    const key = ssh.keyFile('');
    writeFileSync(key, contents);
    await ssh.login(server, { identityFiles: [key] });
  });
});

test('what looks like a key of Dropbear, and what does not', () => {
  const named = (name: string) => Buffer.concat([Buffer.of(0, 0, 0, name.length), Buffer.from(name)]);
  expect(isDropbearKey(named('ssh-dss'))).toBe(true);
  expect(() => readDropbearKey(named('ssh-dss'))).toThrow('the type ssh-dss, which is not supported');
  for (const other of [named(''), named('openssh'), Buffer.alloc(0), Buffer.from(hostKey.private)]) {
    expect(isDropbearKey(other)).toBe(false);
  }
});
