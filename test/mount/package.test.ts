/**
 * What others get: the packed package, installed beside nothing but what it needs at run time, used by a plain user. Of
 * the dependencies no script is run, so nothing is compiled, and what docs/SYSTEM.md says of it is held against it.
 */
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Remora } from '../support/remora.js';
import { must, run } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';
import { createUser, isRoot } from '../support/user.js';

const ROOT = resolve(import.meta.dirname, '..', '..');
const NPM = join(dirname(process.execPath), 'npm');

/** The part of package-lock.json that is looked at. */
interface Lock {
  readonly lockfileVersion: number;
  readonly packages: Readonly<Record<string, { readonly dev?: true; readonly devOptional?: true }>>;
}

/** The person's own npm, with its cache and its registry. */
const npmIn = (cwd: string, args: readonly string[]) =>
  must(NPM, args, { cwd, env: { ...process.env }, timeout: 100_000 });

const QUIET = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];

let scope: Scope;
let packed = '';
let system = '';
let files: readonly string[] = [];
/** The directory of the package as it is installed. */
let installed = '';

beforeAll(async () => {
  scope = await Scope.open('package');
  const app = await scope.makeDirectory('app');
  system = await readFile(join(ROOT, 'docs', 'SYSTEM.md'), 'utf8');
  const said = await npmIn(app, ['pack', '--json', '--ignore-scripts', '--pack-destination', app, ROOT]);
  const [archive] = JSON.parse(said) as [{ filename: string; files: { path: string }[] }];
  files = archive.files.map(({ path }) => path);
  packed = join(app, archive.filename);

  // The versions of our own lock, so that what `npm ci` has brought is all that is needed.
  const lock = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8')) as Lock;
  const needed = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  const dependencies = { 'remora-fs': `file:${archive.filename}` };
  const { devDependencies: _, ...own } = lock.packages[''] as { devDependencies?: unknown };
  const packages = {
    '': { dependencies },
    'node_modules/remora-fs': { ...own, resolved: dependencies['remora-fs'] },
    ...Object.fromEntries(needed),
  };
  await writeFile(join(app, 'package.json'), JSON.stringify({ private: true, dependencies }));
  await writeFile(join(app, 'package-lock.json'), JSON.stringify({ ...lock, name: 'app', packages }));
  await npmIn(app, ['ci', '--omit=dev', ...QUIET]);
  await must('chmod', ['-R', 'a+rX', app]);
  installed = join(app, 'node_modules', 'remora-fs');
});
afterAll(async () => {
  await scope?.close();
});

it('holds the program, its documents and the examples, and nothing to build it with', async () => {
  const tops = new Set(files.map((path) => path.split('/')[0]));
  for (const top of ['dist', 'docs', 'examples', 'native-notes', 'README.md', 'LICENSE']) {
    expect(tops).toContain(top);
  }
  expect(files.filter((path) => /^(src|test|bench)\/|\.map$|\.tgz$/.test(path))).toEqual([]);
  const modules = await readdir(join(installed, '..'));
  expect(modules).toContain('ssh2');
  expect(modules.filter((name) => /^(typescript|vitest|@biomejs|@types)$/.test(name))).toEqual([]);
});

it('is as large as the page says, with all that it needs', async () => {
  const modules = join(installed, '..');
  const sizes = (await must('du', ['-b', '--max-depth=1', modules]))
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t') as [bytes: string, path: string]);
  const megabytes = (isMeant: (path: string) => boolean) =>
    sizes.reduce((sum, [bytes, path]) => sum + (isMeant(path) ? Number(bytes) / 1e6 : 0), 0);
  const [, all, driver] = /(\d+) MB with all that.*?, (\d+) of them the optional/s.exec(system) ?? [];
  expect(Math.abs(megabytes((path) => path === modules) - Number(all))).toBeLessThan(1);
  expect(Math.abs(megabytes((path) => /\/fuse-[^/]+$/.test(path)) - Number(driver))).toBeLessThan(1);
});

it('mounts, by the link that npm makes', async () => {
  const user = isRoot ? await createUser(scope) : undefined;
  const program = join(installed, '..', '.bin', 'remora');
  expect((await stat(program)).mode & 0o111, 'may be run').toBe(0o111);
  const remora = await Remora.create(scope, user, ['/usr/bin/env', program]);
  const disk = join(scope.directory, 'disk');
  await mkdir(disk);
  await writeFile(join(disk, 'hello'), 'from the server\n');
  const mount = await remora.mount(await Sshd.start(scope), disk);
  const read = await must('cat', [join(mount.directory, 'hello')], user === undefined ? {} : { as: user });
  expect(read).toBe('from the server\n');
  await mount.unmount();
});

it('says what is missing where koffi has no binary, and does what needs none', async () => {
  const modules = join(scope.directory, 'without', 'node_modules');
  await cp(join(installed, '..'), modules, { recursive: true, verbatimSymlinks: true });
  await rm(join(modules, '@koromix'), { recursive: true });
  const remora = await Remora.create(scope, undefined, [process.execPath, join(modules, '.bin', 'remora')]);
  const sentence = /koffi, which every driver needs, has no binary for linux on \w+ here \(npm install .*\)/;
  const said = expect.stringMatching(new RegExp(`^remora: ${sentence.source}.*\n$`));

  const mountpoint = await remora.mountpoint();
  for (const options of [[], ['-o', 'driver=libfuse']]) {
    const mounted = await remora.run(['nowhere.invalid:', mountpoint, ...options]);
    expect(mounted).toMatchObject({ code: 65, stdout: '', stderr: said });
  }
  const { code, stdout } = await remora.run(['doctor']);
  expect(code).toBe(1);
  expect(stdout).toMatch(/koffi, which every driver needs, has no binary/);
  expect(stdout).toContain('npm install -g --include=optional remora-fs');
  for (const command of ['--version', '--help', 'list', 'status']) {
    expect(await remora.run([command]), command).toMatchObject({ code: 0, stderr: '' });
  }

  const program = `import { connect, mount } from 'remora-fs';
    for (const work of [() => mount('nowhere.invalid:', process.argv[1]), () => connect('nowhere.invalid:')]) {
      await work().catch(({ code, message }) => console.log(code, message));
    }`;
  const cwd = join(modules, '..');
  const library = await run(process.execPath, ['--input-type=module', '-e', program, mountpoint], {
    cwd,
    env: remora.environment,
  });
  expect(library.stderr).toBe('');
  const [mounting = '', connecting = ''] = library.stdout.split('\n');
  expect(mounting).toMatch(new RegExp(`^no-driver ${sentence.source}`));
  expect(connecting).toMatch(/^resolve /);
});

it('gets the portable driver, where npm has left it out, by the line that is printed and on the page', async () => {
  const prefix = await scope.makeDirectory('prefix');
  await npmIn(prefix, ['install', '-g', '--prefix', prefix, ...QUIET, packed]);
  const home = join(prefix, 'lib', 'node_modules', 'remora-fs');
  // As it is when its script has failed.
  await rm(join(home, 'node_modules', 'fuse-native'), { recursive: true });
  const remora = await Remora.create(scope, undefined, ['/usr/bin/env', join(prefix, 'bin', 'remora')]);
  const sshd = await Sshd.start(scope);
  const disk = await scope.makeDirectory('driver');
  await writeFile(join(disk, 'hello'), 'from the server\n');

  const line = 'npm install -g --ignore-scripts fuse-native@2.2.6';
  expect(system).toContain(`    ${line}\n`);
  const what = 'driver=libfuse needs fuse-native 2.2.6: it is not installed';
  const source = `${sshd.user}@${sshd.host}:${disk}`;
  const libfuse = ['-o', 'driver=libfuse'];
  const look = `remora doctor ${source} ${libfuse.join(' ')}, versions`;
  const place = await remora.mountpoint();
  expect(await remora.run([source, place, ...(await remora.login(sshd)), ...libfuse])).toMatchObject({
    code: 65,
    stderr: `remora: ${what} (${line}) (see: ${look})\n`,
  });
  const diagnosis = await remora.run(['doctor', ...libfuse, '--json']);
  expect(diagnosis.code).toBe(1);
  expect(JSON.parse(diagnosis.stdout).cause).toMatchObject({ id: 'versions', why: what, remedy: line });
  expect(await remora.run(['doctor']), 'of the other driver').toMatchObject({ code: 0 });

  await npmIn(prefix, [...line.split(' ').slice(1), '--prefix', prefix, ...QUIET]);
  expect(await remora.run(['doctor', ...libfuse])).toMatchObject({ code: 0 });
  const mount = await remora.mount(sshd, disk, { options: ['driver=libfuse'] });
  expect(await must('cat', [join(mount.directory, 'hello')])).toBe('from the server\n');
  await mount.unmount();
});
