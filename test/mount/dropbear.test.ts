/** Dropbear at either end: a mount of its server, whose windows are small, and logins with keys of its own format. */
import { randomBytes } from 'node:crypto';
import { chown, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { authorize, Dropbear, type DropbearKeyType, makeDropbearKey } from '../support/dropbear.js';
import { programPath } from '../support/packages.js';
import { mountAt } from '../support/processes.js';
import { runOnTerminal } from '../support/pty.js';
import { Remora } from '../support/remora.js';
import { Scope } from '../support/scope.js';
import { handOver } from '../support/server.js';
import { createUser, isRoot, type SystemUser } from '../support/user.js';

let scope: Scope;
let remora: Remora;
let user: SystemUser;
let disk: string;

describe.runIf(isRoot)('Dropbear (its server needs root)', () => {
  beforeAll(async () => {
    scope = await Scope.open('dropbear');
    remora = await Remora.create(scope);
    user = await createUser(scope);
    disk = await scope.makeDirectory('disk', user);
  });
  afterAll(async () => {
    await scope?.close();
  });
  afterEach(async () => {
    await remora.discard();
  });

  const KEY_TYPES: readonly DropbearKeyType[] = ['ed25519', 'ecdsa', 'rsa'];

  it.each(KEY_TYPES)('a mount of a server with the host key %s, to and fro', async (hostKey) => {
    const server = await Dropbear.start(scope, { user, hostKey });
    const mounted = await remora.mount(server, disk);
    const data = randomBytes(3_000_000);
    await writeFile(join(mounted.directory, 'file'), data);
    expect(data.equals(await readFile(join(disk, 'file')))).toBe(true);
    const back = randomBytes(3_000_000);
    await writeFile(join(disk, 'back'), back, { mode: 0o644 });
    expect(back.equals(await readFile(join(mounted.directory, 'back')))).toBe(true);
    await mounted.unmount();
  });

  it('writes do not wait for one another', async () => {
    const script = join(scope.directory, 'counting-sftp.mjs');
    await copyFile(join(import.meta.dirname, '../support/counting-sftp.mjs'), script);
    const result = join(disk, 'most');
    await writeFile(result, '');
    await chown(result, user.uid, user.gid);
    const command = [inject('stage').node, script, await programPath('sftp-server'), '200', result].join(' ');
    const server = await Dropbear.start(scope, { user, args: ['-c', command] });
    const mounted = await remora.mount(server, disk);
    const data = randomBytes(8_000_000);
    await writeFile(join(mounted.directory, 'upload'), data);
    await mounted.unmount();
    expect(data.equals(await readFile(join(disk, 'upload')))).toBe(true);
    const most = (await readFile(result, 'utf8')).trim().split('\n');
    expect(Math.max(...most.map(Number))).toBeGreaterThanOrEqual(4);
  });

  it('with a password', async () => {
    const server = await Dropbear.start(scope, { user });
    const mountpoint = await remora.mountpoint();
    const known = `UserKnownHostsFile=${server.knownHosts},GlobalKnownHostsFile=none,IdentityAgent=none`;
    const source = `${user.name}@${server.host}:${disk}`;
    const args = [source, mountpoint, '-p', String(server.port), '-o', known];
    const talk = [{ expect: `${user.name}@${server.host}'s password: `, answer: `${user.password}\n` }];
    const finished = await runOnTerminal([...remora.program, ...args], talk, { env: remora.environment });
    expect(finished).toMatchObject({ code: 0 });
    expect(await mountAt(mountpoint)).not.toBeNull();
    await (await remora.adopt(mountpoint)).unmount();
  });

  it('without an sftp-server it says so', async () => {
    const server = await Dropbear.start(scope, { user, args: ['-c', '/usr/libexec/missing/sftp-server'] });
    const args = [`${user.name}@${server.host}:${disk}`, await remora.mountpoint()];
    const finished = await remora.run([...args, ...(await remora.login(server))]);
    expect(finished.code).toBe(50);
    expect(finished.stderr).toMatch(/^remora: [^\n]*sftp-server[^\n]*\n$/);
    expect(finished.stderr).toMatch(/not found/);
  });

  it.each(KEY_TYPES)('logs in with a key of dropbearkey, %s', async (type) => {
    const server = await Dropbear.start(scope, { user });
    const key = join(remora.home, `dropbear_${type}`);
    await authorize(user, await makeDropbearKey(type, key));
    const mounted = await remora.mount({ ...named(server), keyFile: key }, disk);
    await mounted.unmount();
  });

  it('finds ~/.ssh/id_dropbear by itself', async () => {
    const server = await Dropbear.start(scope, { user });
    const directory = join(remora.home, '.ssh');
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const key = join(scope.directory, 'id_dropbear');
    await authorize(user, await makeDropbearKey('ed25519', key));
    await handOver(key, { name: 'root', uid: 0, gid: 0 }, join(directory, 'id_dropbear'));
    const [, , , , ...known] = await remora.login(server);
    const mountpoint = await remora.mountpoint();
    const args = [`${user.name}@${server.host}:${disk}`, mountpoint, '-p', String(server.port), ...known];
    const finished = await remora.run([...args, '-o', 'BatchMode=yes,IdentityAgent=none']);
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    await (await remora.adopt(mountpoint)).unmount();
  });
});

const named = ({ host, port, user, knownHosts }: Dropbear) => ({ host, port, user, knownHosts });
