/** Ordinary trees with symbolic links, on a real server: programs that meet them do as on a local disk. */
import { mkdir, readFile, readlink, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Mounted, Remora } from '../support/remora.js';
import { must, run } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let disk: string;
let mounted: Mounted;

beforeAll(async () => {
  scope = await Scope.open('symlinks');
  disk = await scope.makeDirectory('disk');
  await mkdir(join(disk, 'app', 'node_modules', '.bin'), { recursive: true });
  await mkdir(join(disk, 'app', 'node_modules', 'tool', 'bin'), { recursive: true });
  await writeFile(join(disk, 'app', 'node_modules', 'tool', 'bin', 'run'), '#!/bin/sh\necho ran\n', {
    mode: 0o755,
  });
  await symlink('../tool/bin/run', join(disk, 'app', 'node_modules', '.bin', 'run'));
  await symlink('tool/../tool', join(disk, 'app', 'node_modules', 'odd'));
  await symlink('app', join(disk, 'current'));
  await symlink('missing', join(disk, 'app', 'dangling'));
  await mkdir(join(disk, 'x', 'y'), { recursive: true });
  await writeFile(join(disk, 'x', 'target'), 'reached');
  await symlink(join(disk, 'x', 'target'), join(disk, 'x', 'y', 'l'));
  await symlink(disk, join(disk, 'x', 'root'));
  sshd = await Sshd.start(scope);
  remora = await Remora.create(scope);
  mounted = await remora.mount(sshd, disk, { options: ['contain_symlinks=share'] });
});
afterAll(async () => {
  await mounted?.unmount();
  await scope?.close();
});

const sh = (script: string) => must('sh', ['-euc', script, mounted.directory], { cwd: mounted.directory });

it('a tree of relative links is listed, walked, copied and archived', async () => {
  expect(
    await sh(
      'current/node_modules/.bin/run; cat app/node_modules/odd/bin/run | wc -l; ls -lAR app | grep -c -- "->"',
    ),
  ).toBe('ran\n2\n3\n');
});

it('git sees a clean tree, and tar brings back every link', async () => {
  await sh(
    [
      'mkdir repo; cd repo; git init -q .; mkdir -p a/b; echo 1 > a/f; ln -s ../f a/b/up; ln -s b a/in',
      'git add .; git -c user.name=t -c user.email=t@t commit -qm t',
      'rm -r a; git checkout -q .',
    ].join('\n'),
  );
  expect(await sh('cd repo; git status --porcelain; cat a/b/up a/in/up')).toBe('1\n1\n');
  expect(await sh('tar cf - repo | (mkdir back; tar xf - -C back); readlink back/repo/a/b/up')).toBe(
    '../f\n',
  );
});

it('absolute links within the server’s directory work, from wherever they stand', async () => {
  expect(await sh('cat x/y/l x/root/x/y/l; readlink x/y/l')).toBe('reachedreached../target\n');
});

it('links are stored as the program gave them, and those by local paths lead into the mount', async () => {
  const local = join(mounted.directory, 'x', 'target');
  await symlink(local, join(mounted.directory, 'local'));
  await symlink('/etc/hostname', join(mounted.directory, 'away'));
  expect(await readlink(join(disk, 'local'))).toBe(local);
  expect(await readlink(join(disk, 'away'))).toBe('/etc/hostname');
  expect(await sh('cat local')).toBe('reached');
  await expect(readlink(join(mounted.directory, 'away'))).rejects.toMatchObject({ code: 'EXDEV' });
  expect((await run('ls', ['-l', mounted.directory])).stdout).toMatch(/ away/);
});

it('a link that is moved or linked up the tree is judged anew, though the kernel had its target', async () => {
  const there = (...names: string[]) => join(mounted.directory, ...names);
  await mkdir(there('deep', 'er'), { recursive: true });
  await symlink('../../outside', there('deep', 'er', 'l'));
  await symlink('../../x/target', there('deep', 'er', 'm'));
  expect(await readlink(there('deep', 'er', 'l'))).toBe('../../outside');
  await stat(there('deep', 'er', 'm'));
  const refused = (path: string) =>
    expect.poll(() => readlink(path).catch((error: NodeJS.ErrnoException) => error.code)).toBe('EXDEV');
  await rename(there('deep', 'er'), there('up'));
  await refused(there('up', 'l'));
  await refused(there('up', 'm'));
  await rename(there('up'), there('deep', 'er'));
  expect(await readlink(there('deep', 'er', 'l'))).toBe('../../outside');
  await must('ln', ['-P', there('deep', 'er', 'l'), there('hard')]);
  await refused(there('hard'));
});

it('the default gives back exactly what every ordinary tree has, and stops what climbs out', async () => {
  const plain = await remora.mount(sshd, disk);
  const targets = ['/usr/bin/python3', join(disk, 'x', 'target'), 'missing', 'odd/../missing', 'app'];
  await mkdir(join(plain.directory, 'venv', 'bin'), { recursive: true });
  const at = (n: number) => join(plain.directory, 'venv', 'bin', String(n));
  for (const [n, target] of targets.entries()) await symlink(target, at(n));
  for (const [n, target] of targets.entries()) expect(await readlink(at(n))).toBe(target);
  await must('cp', ['-a', join(plain.directory, 'venv'), join(plain.directory, 'copy')]);
  await must('tar', ['-cf', '/dev/null', '-C', plain.directory, 'venv', 'copy', 'app', 'current']);
  await symlink('../../../outside', at(9));
  await expect(readlink(at(9))).rejects.toMatchObject({ code: 'EXDEV' });
  await symlink(`../../../${basename(disk)}/x/target`, at(10));
  expect(await readFile(at(10), 'utf8'), 'climbs out on the server, and comes back by name').toBe('reached');
  await plain.unmount();
});

it('strict refuses absolute links, and none gives every target as it is', async () => {
  const [strict, none] = [
    await remora.mount(sshd, disk, { options: ['contain_symlinks'] }),
    await remora.mount(sshd, disk, { options: ['no_contain_symlinks'] }),
  ];
  await expect(readlink(join(strict.directory, 'x', 'y', 'l'))).rejects.toMatchObject({ code: 'EXDEV' });
  expect(await readlink(join(strict.directory, 'current'))).toBe('app');
  expect(await readlink(join(none.directory, 'x', 'y', 'l'))).toBe(join(disk, 'x', 'target'));
  expect(await readlink(join(none.directory, 'away'))).toBe('/etc/hostname');
  await strict.unmount();
  await none.unmount();
});
