/**
 * What the tests on real mounts need before the first of them: the built program, the system's programs, and
 * a stage: a world-readable copy of the program and of the conformance suite, for processes of users who may
 * not enter the checkout. What cannot be had is an error with its name, never a skipped test.
 */
import { constants } from 'node:fs';
import { access, chmod, copyFile, cp, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import type { TestProject } from 'vitest/node';
import { findProgram, missingPrograms, PACKAGES } from './packages.js';
import { must, run } from './run.js';

export interface Stage {
  /** Holds `dist`, `node_modules`, `package.json` and `posix`. */
  readonly directory: string;
  /** A Node that every user may run. */
  readonly node: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    stage: Stage;
  }
}

const ROOT = resolve(import.meta.dirname, '..', '..');
const isRoot = process.getuid?.() === 0;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await installPrograms();
  await openDevice();
  if (isRoot) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  await build();
  const directory = await mkdtemp(join(tmpdir(), 'remora-test-stage-'));
  project.provide('stage', await fillStage(directory));
  return () => rm(directory, { recursive: true, force: true });
}

async function installPrograms(): Promise<void> {
  const missing = await missingPrograms();
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((program) => PACKAGES[program] ?? program))];
  if (isRoot && (await findProgram('apt-get')) !== null) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const options = { env, timeout: 600_000 };
    await must('apt-get', ['update', '-q'], options);
    await must('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...packages], options);
  }
  const still = await missingPrograms();
  if (still.length > 0) {
    const names = still.map((program) => `${program} (Debian package ${PACKAGES[program] ?? program})`);
    throw new Error(`the mount tests need programs that are not there: ${names.join(', ')}`);
  }
}

/** A container gives /dev/fuse to root alone; the tests of plain users need what a desktop has. */
async function openDevice(): Promise<void> {
  const device = await stat('/dev/fuse').catch(() => null);
  if (device === null || !device.isCharacterDevice()) {
    throw new Error('the mount tests need /dev/fuse (modprobe fuse; in a container: --device /dev/fuse)');
  }
  if (isRoot && (device.mode & 0o666) !== 0o666) await chmod('/dev/fuse', 0o666);
  const opens = await access('/dev/fuse', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!opens) throw new Error('the mount tests need read and write access to /dev/fuse');
}

/** Builds `dist` unless it is newer than every source. */
async function build(): Promise<void> {
  const built = await stat(join(ROOT, 'dist', 'cli', 'main.js')).catch(() => null);
  const sources = await readdir(join(ROOT, 'src'), { recursive: true, withFileTypes: true });
  const times = await Promise.all(
    sources
      .filter((entry) => entry.isFile())
      .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).mtimeMs),
  );
  if (built !== null && Math.max(...times) <= built.mtimeMs) return;
  await compile('tsconfig.json', join(ROOT, 'dist'));
}

function compile(config: string, outDir: string): Promise<string> {
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
  return must(tsc, ['-p', join(ROOT, config), '--outDir', outDir], { timeout: 300_000 });
}

async function fillStage(directory: string): Promise<Stage> {
  await chmod(directory, 0o755);
  await cp(join(ROOT, 'dist'), join(directory, 'dist'), { recursive: true });
  await copyFile(join(ROOT, 'package.json'), join(directory, 'package.json'));
  for (const module of await productionModules()) {
    await cp(join(ROOT, module), join(directory, module), { recursive: true, dereference: true });
  }
  await compile('test/support/posix/tsconfig.json', join(directory, 'posix'));
  await must('chmod', ['-R', 'a+rX', directory]);
  return { directory, node: await sharedNode(directory) };
}

/** Directories of the production dependencies, relative to the checkout. */
async function productionModules(): Promise<readonly string[]> {
  const npm = join(process.execPath, '..', 'npm');
  // npm complains of optional dependencies that another platform would need, but lists what is there.
  const listed = await run(npm, ['ls', '--omit=dev', '--all', '--parseable'], {
    cwd: ROOT,
    env: { npm_config_update_notifier: 'false' },
  });
  const modules = listed.stdout
    .split('\n')
    .map((path) => relative(ROOT, path.trim()))
    .filter((path) => path.startsWith('node_modules'));
  if (modules.length === 0) throw new Error(`npm ls lists no dependencies:\n${listed.stderr}`);
  return modules.filter((path) => !modules.some((other) => path.startsWith(`${other}/node_modules/`)));
}

/** This Node, or a copy where only its owner may reach it (one in a home directory). */
async function sharedNode(directory: string): Promise<string> {
  if (!isRoot) return process.execPath;
  const nobody = { name: 'nobody', uid: 65_534, gid: 65_534 };
  const runs = await run(process.execPath, ['--version'], { as: nobody }).catch(() => null);
  if (runs?.code === 0) return process.execPath;
  const copy = join(directory, 'node');
  await copyFile(process.execPath, copy);
  await chmod(copy, 0o755);
  return copy;
}
