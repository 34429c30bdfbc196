/**
 * The library as programs use it: one in TypeScript, compiled together with the code of the manual against the package's
 * own types and without what only development installs, plays its scenes, each in a process of its own.
 */
import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { isAlive, mountAt, waitForMount } from '../support/processes.js';
import { Remora } from '../support/remora.js';
import { must, run, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';

const ROOT = resolve(import.meta.dirname, '..', '..');

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let program: string;

/** The code of the manual, each block as a module. */
async function writeManual(home: string): Promise<readonly string[]> {
  const manual = await readFile(join(ROOT, 'docs', 'LIBRARY.md'), 'utf8');
  const blocks = [...manual.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code);
  const names = blocks.map((_, i) => `manual-${i}.mts`);
  await Promise.all(names.map((name, i) => writeFile(join(home, name), blocks[i] ?? '')));
  return names;
}

/** Where `remora-fs` is a dependency, as the registry would deliver it, beside the types of Node. */
async function compileProgram(): Promise<string> {
  const home = await scope.makeDirectory('program');
  await mkdir(join(home, 'node_modules', '@types'), { recursive: true });
  await symlink(inject('stage').directory, join(home, 'node_modules', 'remora-fs'));
  for (const name of ['@types/node', 'undici-types']) {
    await symlink(join(ROOT, 'node_modules', name), join(home, 'node_modules', name));
  }
  await copyFile(join(ROOT, 'test', 'support', 'library', 'program.mts'), join(home, 'program.mts'));
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2022',
    lib: ['es2022', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    skipLibCheck: false,
  };
  const files = ['program.mts', ...(await writeManual(home))];
  await writeFile(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  await must(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', home], { timeout: 60_000 });
  return join(home, 'program.mjs');
}

beforeAll(async () => {
  scope = await Scope.open('library');
  remora = await Remora.create(scope);
  sshd = await Sshd.start(scope);
  program = await compileProgram();
});
afterAll(async () => {
  await remora?.discard();
  await scope?.close();
});

async function play(scene: string, argument: string, mountpoint: string): Promise<string> {
  const { stdout, stderr } = await run(process.execPath, [program, scene, argument, mountpoint], {
    env: remora.environment,
    timeout: 60_000,
  });
  expect(stderr, 'the library prints nothing').toBe('');
  return stdout;
}

/** A scene with a directory of its own. */
async function scene(name: string) {
  const disk = await scope.makeDirectory(`disk-${name}`);
  await writeFile(join(disk, 'hello'), 'hello\n');
  const mountpoint = await remora.mountpoint();
  const result: unknown = JSON.parse(await play(name, disk, mountpoint));
  expect(await mountAt(mountpoint)).toBeNull();
  return { result, disk };
}

for (const serve of ['child', 'detached', 'in-process'] as const) {
  it(`mounts, tells of the connection, and unmounts: ${serve}`, async () => {
    const { result, disk } = await scene(serve);
    const ended = { code: 'not-mounted' };
    expect(result).toMatchObject({
      hello: 'hello\n',
      status: {
        state: 'serving',
        link: 'connected',
        isOwnProcess: serve === 'in-process',
        pid: true,
      },
      listed: ['serving'],
      end: [null],
      ended: null,
      afterwards: ended,
      again: null,
      byPath: ended,
    });
    const { states } = result as { readonly states: readonly string[] };
    expect(states[0]).toBe('offline');
    expect(states.at(-1)).toMatch(/^(connected|closing)$/);
    expect(await readFile(join(disk, 'new'), 'utf8')).toBe('written\n');
  });
}

it('names every failure by the exit code of the command', async () => {
  const { result } = await scene('failures');
  expect(result).toMatchObject({
    password: { code: 'authentication' },
    inProcess: { code: 'authentication' },
    hostKey: { code: 'host-key-unknown' },
    mountpoint: { code: 'mountpoint-missing' },
    source: { code: 'usage' },
    option: { code: 'usage', message: "unknown option 'prot': did you mean 'port'?" },
    range: { code: 'usage', message: expect.stringContaining('the range is') },
    command: { code: 'usage' },
    aborted: { code: 'interrupted' },
    gaveUp: { code: 'interrupted' },
    nobody: { code: 'authentication' },
    nothing: { code: 'not-mounted' },
    status: { code: 'not-mounted' },
    sftp: { code: 'authentication' },
  });
});

it('asks by a function, refuses to unmount what is in use, and ends it by force', async () => {
  const { result } = await scene('use');
  expect(result).toMatchObject({
    asked: [expect.stringMatching(/^secret: .*password/i)],
    busy: { code: 'busy', message: expect.stringContaining('sleep') },
    state: 'serving',
    ended: null,
  });
});

for (const force of [[], ['--force']]) {
  it(`the command unmounts what a program serves itself, which goes on: ${force}`, async () => {
    const disk = await scope.makeDirectory(`disk-wait${force}`);
    const mountpoint = await remora.mountpoint();
    const played = play('wait', disk, mountpoint);
    await waitForMount(mountpoint);
    const { code, stderr } = await remora.run(['unmount', mountpoint, ...force], { timeout: 20_000 });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(await played)).toEqual({ ended: null });
  });
}

it('the SFTP client alone lists, reads, and says what is missing', async () => {
  const { result } = await scene('sftp');
  expect(result).toMatchObject({ names: ['hello'], hello: 'hello\n', missing: 2 });
});

/** Mounts in a program that ends without unmounting; answers the serving process and the mount point. */
async function leave(serve: string, how: string) {
  const mountpoint = await remora.mountpoint();
  const options = {
    port: sshd.port,
    configFile: 'none',
    identityFiles: [sshd.keyFile],
    userKnownHostsFiles: [sshd.knownHosts],
    globalKnownHostsFiles: ['none'],
    strictHostKeyChecking: 'yes',
  };
  const source = `${sshd.user}@${sshd.host}:/`;
  const pid = Number(await play('leave', JSON.stringify({ source, options, serve, how }), mountpoint));
  return { pid, mountpoint };
}

for (const [serve, how] of [
  ['child', 'exit'],
  ['child', 'kill'],
  ['in-process', 'exit'],
  ['in-process', 'kill'],
]) {
  it(`a program that ends by ${how} takes its mount with it: ${serve}`, async () => {
    const { pid, mountpoint } = await leave(serve ?? '', how ?? '');
    await until('the mount to go', async () => (await mountAt(mountpoint)) === null);
    await until('the serving process to end', async () => !(await isAlive(pid)));
  });
}

it('a detached mount outlives its program, and the command ends it', async () => {
  const { pid, mountpoint } = await leave('detached', 'exit');
  expect(await isAlive(pid)).toBe(true);
  await (await remora.adopt(mountpoint)).unmount();
});
