/**
 * The Docker volume plugin of the examples, spoken to as Docker does: JSON over HTTP on its socket, with volumes of a
 * real sshd, and with the plugin killed in between.
 */
import type { ChildProcess } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { endProcesses, mountAt } from '../support/processes.js';
import { Remora } from '../support/remora.js';
import { must, run, start, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';
import { createUser, type SystemUser } from '../support/user.js';

const PLUGIN = resolve(import.meta.dirname, '..', '..', 'examples', 'docker-volume', 'plugin.mjs');

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let user: SystemUser;
let plugin: ChildProcess;
let socket: string;
let state: string;
let volumes: string;

async function startPlugin(env: Record<string, string> = {}): Promise<ChildProcess> {
  const child = start(process.execPath, [PLUGIN], {
    env: { ...remora.environment, SOCKET: socket, STATE: state, VOLUMES: volumes, ...env },
  });
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  child.stderr?.resume();
  await until('the plugin', async () => said.includes('listening'));
  return child;
}

beforeAll(async () => {
  scope = await Scope.open('docker-volume');
  remora = await Remora.create(scope);
  user = await createUser(scope);
  sshd = await Sshd.start(scope, { user: user.name });
  socket = join(scope.directory, 'remora.sock');
  state = join(scope.directory, 'state');
  volumes = join(scope.directory, 'volumes');
  plugin = await startPlugin();
  scope.defer('the plugin', () => endProcesses([plugin.pid ?? 0]));
});
afterAll(async () => {
  for (const { mountpoint } of (await remora?.statuses()) ?? []) {
    await remora.run(['unmount', '--force', mountpoint]);
  }
  await scope?.close();
});

interface Answer {
  readonly status: number | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

/** One call, as Docker makes it. */
function call(path: string, body: unknown = undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { Accept: 'application/vnd.docker.plugins.v1.2+json' };
    const sent = request({ socketPath: socket, path, method: 'POST', headers }, async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve({ status: response.statusCode, body: JSON.parse(text) });
    });
    sent.on('error', reject);
    sent.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
}

const driver = (method: string, body: unknown = {}) => call(`/VolumeDriver.${method}`, body);
const done = { status: 200, body: { Err: '' } };

/** A volume as somebody who comes from vieux/sshfs makes it. */
const create = (name: string, more: Readonly<Record<string, string>> = {}) =>
  driver('Create', {
    Name: name,
    Opts: {
      sshcmd: `${user.name}@${sshd.host}:${user.home}`,
      password: user.password,
      port: String(sshd.port),
      ssh_config: 'none',
      ...more,
    },
  });

it('introduces itself', async () => {
  expect(await call('/Plugin.Activate')).toEqual({
    status: 200,
    body: { Err: '', Implements: ['VolumeDriver'] },
  });
  expect((await driver('Capabilities')).body).toEqual({ Err: '', Capabilities: { Scope: 'local' } });
  expect((await call('/VolumeDriver.Nonsense')).status).toBe(404);
  expect((await driver('Get', '{')).body.Err).toMatch(/JSON/);
});

it('serves one volume to two containers, over the death of the plugin', async () => {
  const mountpoint = join(volumes, 'data');
  expect(await create('data', { reconnect: '' })).toEqual(done);
  expect((await driver('List')).body.Volumes).toEqual([{ Name: 'data', Mountpoint: mountpoint }]);
  expect((await driver('Get', { Name: 'data' })).body.Volume).toMatchObject({
    Name: 'data',
    Mountpoint: mountpoint,
    Status: { state: 'not mounted', users: 0 },
  });

  const mounted = { status: 200, body: { Err: '', Mountpoint: mountpoint } };
  const both = ['one', 'two'].map((ID) => driver('Mount', { Name: 'data', ID }));
  expect(await Promise.all(both)).toEqual([mounted, mounted]);
  await must('sh', ['-c', 'echo written > "$0"/new', mountpoint]);
  expect((await driver('Path', { Name: 'data' })).body.Mountpoint).toBe(mountpoint);
  expect(await remora.statuses()).toHaveLength(1);
  expect((await driver('Remove', { Name: 'data' })).body.Err).toMatch(/in use/);
  expect((await create('data')).body.Err).toMatch(/in use/);

  await endProcesses([plugin.pid ?? 0], 'SIGKILL');
  plugin = await startPlugin();
  expect(await must('cat', [join(mountpoint, 'new')])).toBe('written\n');
  expect((await driver('Get', { Name: 'data' })).body.Volume).toMatchObject({
    Status: { state: 'serving', users: 2 },
  });
  expect(await driver('Mount', { Name: 'data', ID: 'two' })).toEqual(mounted);

  expect(await driver('Unmount', { Name: 'data', ID: 'one' })).toEqual(done);
  expect(await mountAt(mountpoint)).not.toBeNull();
  expect(await driver('Unmount', { Name: 'data', ID: 'two' })).toEqual(done);
  expect(await mountAt(mountpoint)).toBeNull();
  expect(await readFile(join(user.home, 'new'), 'utf8')).toBe('written\n');

  expect(await driver('Remove', { Name: 'data' })).toEqual(done);
  expect((await driver('List')).body.Volumes).toEqual([]);
  expect(await readdir(volumes)).toEqual([]);
});

it('mounts again for the next container what a killed serving process has left', async () => {
  await create('dead', { auto_unmount: 'no' });
  await driver('Mount', { Name: 'dead', ID: 'one' });
  const [{ pid } = { pid: 0 }] = await remora.statuses();
  await endProcesses([pid], 'SIGKILL');
  // Its last threads may hold the mount for a moment.
  await until('the mount to be dead', async () => {
    const { Volume } = (await driver('Get', { Name: 'dead' })).body;
    return JSON.stringify(Volume).includes('"not mounted"');
  });
  expect((await driver('Mount', { Name: 'dead', ID: 'two' })).status).toBe(200);
  await must('ls', [join(volumes, 'dead')]);
  for (const ID of ['one', 'two']) expect(await driver('Unmount', { Name: 'dead', ID })).toEqual(done);
  expect(await driver('Remove', { Name: 'dead' })).toEqual(done);
});

it('programs of any user may use a volume, and the state with its passwords is private', async () => {
  await create('shared');
  await driver('Mount', { Name: 'shared', ID: 'one' });
  const nobody = { name: 'nobody', uid: 65_534, gid: 65_534 };
  expect((await run('ls', [join(volumes, 'shared')], { as: nobody })).code).not.toBe(0);
  await must('chmod', ['755', volumes]);
  expect((await run('ls', [join(volumes, 'shared')], { as: nobody })).code).toBe(0);
  expect((await stat(join(state, 'remora-volumes.json'))).mode & 0o777).toBe(0o600);
  expect(await driver('Unmount', { Name: 'shared', ID: 'one' })).toEqual(done);
  expect(await driver('Remove', { Name: 'shared' })).toEqual(done);
});

it('says in a sentence what is wrong', async () => {
  expect((await driver('Create', { Name: 'x', Opts: {} })).body.Err).toMatch(/sshcmd/);
  expect((await create('../x')).body.Err).toMatch(/name of a volume/);
  expect((await driver('Mount', { Name: 'missing', ID: 'one' })).body.Err).toMatch(/no volume missing/);
  await create('wrong', { password: 'wrong' });
  expect((await driver('Mount', { Name: 'wrong', ID: 'one' })).body.Err).toMatch(/permission denied/);
  await create('wrong', { prot: '22' });
  expect((await driver('Mount', { Name: 'wrong', ID: 'one' })).body.Err).toMatch(/did you mean 'port'/);
  await writeFile(join(state, 'known_hosts'), '');
  await create('wrong', { StrictHostKeyChecking: 'yes' });
  expect((await driver('Mount', { Name: 'wrong', ID: 'one' })).body.Err).toMatch(/not known/);
  expect((await driver('Get', { Name: 'wrong' })).body.Volume).toMatchObject({ Status: { users: 0 } });
  expect(await driver('Remove', { Name: 'wrong' })).toEqual(done);
});

it('unmounts at its end where no process outlives it', async () => {
  await endProcesses([plugin.pid ?? 0]);
  plugin = await startPlugin({ UNMOUNT_AT_END: '1' });
  await create('last');
  await driver('Mount', { Name: 'last', ID: 'one' });
  await endProcesses([plugin.pid ?? 0], 'SIGTERM');
  expect(await mountAt(join(volumes, 'last'))).toBeNull();
});
