/** Mounts of hosts that only ssh's configuration describes, through the kernel. */
import { access, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { programPath } from '../support/packages.js';
import { mountAt } from '../support/processes.js';
import { type Mounted, Remora } from '../support/remora.js';
import { must, run } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { handOver, makeKey } from '../support/server.js';
import { Sshd } from '../support/sshd.js';
import { createUser, isRoot } from '../support/user.js';

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let disk: string;

beforeAll(async () => {
  scope = await Scope.open('ssh-config-mounts');
  disk = await scope.makeDirectory('disk');
  await writeFile(join(disk, 'hello'), 'from the server\n');
  sshd = await Sshd.start(scope);
  remora = await Remora.create(scope);
});
afterEach(async () => {
  await remora.discard();
});
afterAll(async () => {
  await scope?.close();
});

let files = 0;

async function configuration(text: string): Promise<string> {
  const file = join(scope.directory, `config-${++files}`);
  await writeFile(file, text);
  return file;
}

/** A configuration in which everything about the server stands, its host key under another name. */
async function box(): Promise<string> {
  const [, type, key] = (await readFile(sshd.knownHosts, 'utf8')).split(' ');
  const known = join(scope.directory, `known-${files}`);
  await writeFile(known, `box-key ${type} ${key}`);
  return `Host box
      HostName ${sshd.host}
      Port ${sshd.port}
      User ${sshd.user}
      IdentityFile "${sshd.keyFile}"
      IdentitiesOnly yes
      UserKnownHostsFile ${known}
      GlobalKnownHostsFile none
      HostKeyAlias box-key
      StrictHostKeyChecking yes
      PasswordAuthentication no
    `;
}

async function mount(args: readonly string[], env: Record<string, string> = {}): Promise<Mounted> {
  const mountpoint = await remora.mountpoint();
  const finished = await remora.run([`box:${disk}`, mountpoint, ...args], { env });
  expect(finished).toMatchObject({ code: 0, stderr: '' });
  return remora.adopt(mountpoint);
}

async function serves(mounted: Mounted): Promise<void> {
  expect(await readFile(join(mounted.directory, 'hello'), 'utf8')).toBe('from the server\n');
  expect((await mountAt(mounted.directory))?.source).toBe(`box:${disk}`);
  await mounted.unmount();
}

it('of a file', async () => {
  await serves(await mount(['-F', await configuration(await box())]));
});

it("of the user's own file, and says what it is", async () => {
  const home = await scope.makeDirectory('home');
  await mkdir(join(home, '.ssh'));
  await writeFile(join(home, '.ssh/config'), await box());
  await serves(await mount([], { HOME: home }));
  const mountpoint = await remora.mountpoint();
  const finished = await remora.run([`box:${disk}`, mountpoint, '-v'], { env: { HOME: home } });
  expect(finished.stderr).toContain(
    `by ssh's configuration box is ${sshd.user}@${sshd.host}:${sshd.port}\nremora: connecting to ${sshd.host} port ${sshd.port}\n`,
  );
  await (await remora.adopt(mountpoint)).unmount();
});

it.runIf(isRoot)("of a plain user's account, where ssh finds it by itself", async () => {
  const user = await createUser(scope);
  await must('install', ['-d', '-m', '700', '-o', user.name, join(user.home, '.ssh')]);
  await handOver(sshd.keyFile, user, join(user.home, '.ssh/key'));
  const file = await configuration((await box()).replace(sshd.keyFile, '%d/.ssh/key'));
  await handOver(file, user, join(user.home, '.ssh/config'));
  const theirs = await Remora.create(scope, user);
  const mountpoint = await theirs.mountpoint();
  const finished = await theirs.run([`box:${disk}`, mountpoint], { env: { HOME: user.home } });
  expect(finished).toMatchObject({ code: 0, stderr: '' });
  const mounted = await theirs.adopt(mountpoint);
  const read = await run('cat', [join(mountpoint, 'hello')], { as: user });
  expect(read.stdout).toBe('from the server\n');
  await mounted.unmount();
});

it('with the key that a command chooses', async () => {
  const marker = join(scope.directory, 'other-key');
  const wrong = await makeKey(scope, 'wrong-key');
  const when = (test: string, key: string) => `Match originalhost box exec "${test}"\n IdentityFile ${key}\n`;
  const text = (await box()).replace(/ *IdentityFile.*\n/, '');
  const file = await configuration(
    text + when(`test ! -e ${marker}`, sshd.keyFile) + when(`test -e ${marker}`, wrong),
  );
  await serves(await mount(['-F', file]));
  await writeFile(marker, '');
  const refused = await remora.run([`box:${disk}`, await remora.mountpoint(), '-F', file]);
  expect(refused.code).toBe(40);
  expect(refused.stderr).toContain('permission denied');
});

it('not with a host key of another name', async () => {
  const file = await configuration((await box()).replace('HostKeyAlias box-key', 'HostKeyAlias other'));
  const finished = await remora.run([`box:${disk}`, await remora.mountpoint(), '-F', file]);
  expect(finished.code).toBe(30);
});

it('a bad file is told, and nothing is mounted', async () => {
  const file = await configuration('Host box\n Colour blue');
  const mountpoint = await remora.mountpoint();
  const finished = await remora.run([`box:${disk}`, mountpoint, '-F', file]);
  expect(finished).toMatchObject({
    code: 2,
    stderr: `remora: ssh cannot tell how to reach box: ${file}: line 2: Bad configuration option: colour\n`,
  });
  expect(await mountAt(mountpoint)).toBeNull();
});

it.runIf(isRoot)('without ssh, by the command line, and says so', async () => {
  const bin = await scope.makeDirectory('bin');
  await symlink(await programPath('fusermount3'), join(bin, 'fusermount3'));
  await expect(access(join(bin, 'ssh'))).rejects.toThrow();
  const mountpoint = await remora.mountpoint();
  const args = [`${sshd.user}@${sshd.host}:${disk}`, mountpoint, '-v', ...(await remora.login(sshd))];
  const finished = await remora.run(args, { env: { PATH: bin } });
  expect(finished.code, finished.stderr).toBe(0);
  expect(finished.stderr).toMatch(/^remora: there is no ssh to ask, so no ssh_config counts: /);
  const mounted = await remora.adopt(mountpoint);
  expect(await readFile(join(mounted.directory, 'hello'), 'utf8')).toBe('from the server\n');
  await mounted.unmount();
});
