/** The examples do what they say, each in a process of its own against a real sshd or a server that it embeds. */
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { endProcesses } from '../support/processes.js';
import { Remora } from '../support/remora.js';
import { must, run, start, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';

const EXAMPLES = resolve(import.meta.dirname, '..', '..', 'examples');

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let disk: string;

beforeAll(async () => {
  scope = await Scope.open('examples');
  remora = await Remora.create(scope);
  sshd = await Sshd.start(scope);
  disk = await scope.makeDirectory('data');
  await writeFile(join(disk, 'hello'), 'from the example\n');
  await mkdir(join(disk, 'sub'));
  await writeFile(join(disk, 'sub', 'deep'), 'deep\n');
});
afterAll(async () => {
  await remora?.discard();
  await scope?.close();
});

it('serve-directory: the printed command mounts the directory', async () => {
  const server = start(process.execPath, [join(EXAMPLES, 'serve-directory.mjs'), disk], {
    env: scope.environment,
  });
  let printed = '';
  server.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  const pid = server.pid ?? 0;
  scope.defer('the example', () => endProcesses([pid], 'SIGTERM'));
  await until('the command', async () => printed.includes('-o password_stdin'));

  const [, password, command] = /^echo (\w+) \| remora (.+)$/m.exec(printed) ?? [];
  const mountpoint = await scope.makeDirectory('mnt');
  const args = (command ?? '').replace('<mountpoint>', mountpoint).split(' ');
  const mounted = await remora.run(args, { input: `${password}\n` });
  expect(mounted).toMatchObject({ code: 0, stderr: '' });
  expect(await readFile(join(mountpoint, 'hello'), 'utf8')).toBe('from the example\n');
  expect((await remora.run(['unmount', mountpoint])).code).toBe(0);
});

/** Runs an example whose arguments are a source, what `more` says, and options. */
function example(name: string, more: readonly string[] = [], options: readonly string[] = []) {
  const login = [
    `port=${sshd.port}`,
    `IdentityFile=${sshd.keyFile}`,
    'ssh_config=none',
    `UserKnownHostsFile=${sshd.knownHosts}`,
    'GlobalKnownHostsFile=none',
  ];
  const args = [`${sshd.user}@${sshd.host}:${disk}`, ...more, ...login, ...options];
  return run(process.execPath, [join(EXAMPLES, name), ...args], { env: remora.environment });
}

it('mount-and-read: lists the directory, and unmounts', async () => {
  const { code, stdout, stderr } = await example('mount-and-read.mjs');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^ {10}17 {2}hello\n +\d+ {2}sub\nconnected to OpenSSH_.*\n$/);
  expect(await remora.statuses()).toEqual([]);
});

it('mount-and-read: says by its name what went wrong', async () => {
  const { code, stderr } = await example(
    'mount-and-read.mjs',
    [],
    ['StrictHostKeyChecking=yes', 'HostKeyAlias=other'],
  );
  expect(code).toBe(1);
  expect(stderr).toMatch(/^host-key-unknown: /);
});

it('backup: the archive holds the source, and is not there at all when it cannot be whole', async () => {
  const archive = join(scope.directory, 'data.tar');
  const whole = await example('backup.mjs', [archive]);
  expect(whole).toMatchObject({ code: 0, stderr: '' });
  const names = (await must('tar', ['-tf', archive])).trim().split('\n').sort();
  expect(names).toEqual(['./', './hello', './sub/', './sub/deep']);

  const missing = join(scope.directory, 'missing.tar');
  expect((await example('backup.mjs', [missing], ['port=1'])).code).toBe(1);
  await expect(access(missing)).rejects.toThrow('ENOENT');
  expect((await readdir(scope.directory)).filter((name) => name.endsWith('.partial'))).toEqual([]);
});

it('list-tree: prints the files of the server', async () => {
  const { code, stdout, stderr } = await example('list-tree.mjs');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('hello  17\n');
  expect(stdout).toContain('sub/\n  deep  5\n');
});

it('test-suite: passes', async () => {
  const args = ['--test', join(EXAMPLES, 'test-suite.test.mjs')];
  const { code, stdout } = await run(process.execPath, args, { env: remora.environment });
  expect(stdout).toContain('# pass 2');
  expect(code).toBe(0);
});
