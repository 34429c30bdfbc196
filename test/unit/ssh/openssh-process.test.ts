/** The ssh program as a process, in whose place a shell script stands: what it is given, and what is left of it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { endProcesses, isAlive } from '../../support/processes.js';
import { failure, SshFixture, settings } from '../../support/ssh-fixture.js';

const fixture = new SshFixture();
const PATH = process.env.PATH ?? '';

/** A login by a script, as long as it may take. */
function login(script: string, connectTimeout = 1) {
  const sshCommand = fixture.keyFile(`#!/bin/sh\n${script}\n`, 0o700, 'ssh');
  const given = settings(22, { transport: 'openssh', sshCommand, connectTimeout });
  return fixture.reach(given, undefined, { PATH, SSH_ASKPASS: '/bin/false', DISPLAY: ':7' });
}

test('what ssh has started ends with it when it is given up, though it reads nothing', async () => {
  const file = join(fixture.home, 'pid');
  await failure(login(`sleep 600 & echo $! > '${file}'; wait`), 'timeout');
  const pid = Number(readFileSync(file, 'utf8'));
  fixture.onEnd(() => endProcesses([pid], 'SIGKILL'));
  await vi.waitUntil(async () => !(await isAlive(pid)), { timeout: 5000 });
});

test('where there is nobody to ask, no program asks in our place', async () => {
  const file = join(fixture.home, 'required');
  await failure(login(`echo "$SSH_ASKPASS_REQUIRE" > '${file}'; exit 3`, 10), 'subsystem');
  expect(existsSync(file) && readFileSync(file, 'utf8')).toBe('never\n');
});
