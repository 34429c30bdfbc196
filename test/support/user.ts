/**
 * A system user for one test file: logins with a password or a key, and mounts as somebody who is not root.
 * Only root can make one; it is deleted with its scope.
 */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Identity, must, run, until } from './run.js';
import type { Scope } from './scope.js';

export interface SystemUser extends Identity {
  readonly home: string;
  readonly password: string;
}

export const isRoot: boolean = process.getuid?.() === 0;

export async function createUser(scope: Scope): Promise<SystemUser> {
  const name = `remora-${randomBytes(5).toString('hex')}`;
  const password = randomBytes(12).toString('base64url');
  const home = join(scope.directory, name);
  // Another test file may hold the lock of /etc/passwd for a moment.
  await until(`user ${name} to be made`, async () => {
    const added = await run('useradd', ['--no-create-home', '--home-dir', home, '--shell', '/bin/sh', name]);
    if (added.code !== 0 && !/lock/.test(added.stderr)) throw new Error(`useradd: ${added.stderr.trim()}`);
    return added.code === 0;
  });
  scope.defer(`user ${name}`, async () => {
    await until(`user ${name} to be deleted`, async () => {
      const deleted = await run('userdel', ['--force', name]);
      return deleted.code === 0 || deleted.code === 6;
    });
    // The group of that name lives on where the system does not make one for each user.
    await run('groupdel', [name]);
  });
  await until(`password of ${name}`, async () => {
    const changed = await run('chpasswd', [], { input: `${name}:${password}\n` });
    return changed.code === 0;
  });
  const uid = Number(await must('id', ['-u', name]));
  const gid = Number(await must('id', ['-g', name]));
  await mkdir(home);
  await must('chown', [`${uid}:${gid}`, home]);
  return { name, uid, gid, home, password };
}
