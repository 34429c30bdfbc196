/**
 * Signals to programs that wait for a server which does not answer: each ends in the time it was given, and when
 * the server goes on, so does the mount. Stopped is every process of sshd that serves a session, as a machine that
 * swaps or a network that is gone.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { type Paused, pause } from '../support/faults/server.js';
import { type Mounted, Remora } from '../support/remora.js';
import { run } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';

/** Milliseconds that a program may take beyond its time, on a machine that does other things as well. */
const SLACK = 3000;

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let mounted: Mounted;
let content: Buffer;
let disk: string;

beforeAll(async () => {
  scope = await Scope.open('interrupts');
  disk = await scope.makeDirectory('disk');
  content = Buffer.alloc(3_000_000, 'content ');
  for (const name of ['cat', 'cp', 'dd']) await writeFile(join(disk, name), content);
  await writeFile(join(scope.directory, 'local'), content);
  for (const name of ['directory', 'handled']) {
    await mkdir(join(disk, name));
    await writeFile(join(disk, name, 'x'), 'x');
  }
  sshd = await Sshd.start(scope);
  remora = await Remora.create(scope);
  mounted = await remora.mount(sshd, disk);
});
afterEach(() => proceed());
afterAll(async () => {
  await mounted?.unmount();
  await scope?.close();
});

let paused: Paused | null = null;

async function stall(): Promise<void> {
  paused = await pause(sshd);
}

function proceed(): void {
  paused?.resume();
  paused = null;
}

/** Runs a program in a directory. This process would wait for the server as well, if it had to go there first. */
const runIn = (directory: string, program: string, ...args: string[]) =>
  run('env', [`--chdir=${directory}`, program, ...args]);

/** Runs a program that is sent `signal` after two seconds; answers how long it took, in milliseconds. */
async function interrupted(signal: string, program: string, ...args: string[]) {
  const since = performance.now();
  const { code } = await run('timeout', ['-s', signal, '2', program, ...args], { timeout: 30_000 });
  return { code, took: performance.now() - since };
}

/** The program ends when it is told to although the server is silent, and does its work when it is not. */
async function endsInTime(directory: string, signal: string, program: string, ...args: string[]) {
  await stall();
  const { code, took } = await interrupted(signal, 'env', `--chdir=${directory}`, program, ...args);
  expect(took).toBeGreaterThan(1900);
  expect(took).toBeLessThan(2000 + SLACK);
  expect(code).toBe(124);
  proceed();
  const { code: later, stderr } = await runIn(directory, program, ...args);
  expect(later, stderr).toBe(0);
}

const at = (name: string) => join(mounted.directory, name);
const PYTHON = `
import os, signal, sys
def handle(number, frame): raise InterruptedError
signal.signal(signal.SIGINT, handle)
try:
    os.stat(sys.argv[1])
except InterruptedError:
    sys.exit(7)
`;

it.each<[string, string, string[]]>([
  ['cat', 'INT', ['cat', 'cat']],
  ['ls', 'INT', ['ls', '-l', 'directory']],
  ['cp', 'INT', ['cp', 'cp', 'copied']],
  ['dd, which reads', 'TERM', ['dd', 'if=dd', 'of=/dev/null', 'bs=1M']],
  ['dd, which writes', 'TERM', ['dd', 'if=/dev/zero', 'of=written', 'bs=1M', 'count=200', 'conv=fsync']],
  ['git', 'INT', ['git', 'init', 'repository']],
])(
  '%s ends with SIG%s, and works when the server goes on',
  async (_name, signal, [program = '', ...args]) => {
    await endsInTime(mounted.directory, signal, program, ...args);
  },
);

it('a directory whose making was interrupted is one to be in as soon as it is made', async () => {
  // Then the server is not asked whether there is such a name.
  expect(await readdir(mounted.directory)).not.toContain('made');
  await stall();
  expect((await interrupted('INT', 'mkdir', at('made'))).code).toBe(124);
  const inside = runIn(mounted.directory, 'sh', '-c', 'cd made && sleep 0.3 && exec /bin/pwd -P');
  // It waits for the server by now, on all but the slowest machines.
  await setTimeout(300);
  proceed();
  expect(await inside).toMatchObject({ code: 0, stdout: `${at('made')}\n`, stderr: '' });
});

it('a program that handles the signal goes on with EINTR, and works when the server goes on', async () => {
  // In a mount of its own, where nothing is known ahead.
  const fresh = await remora.mount(sshd, disk);
  await endsInTime(fresh.directory, 'INT', 'python3', '-c', PYTHON, 'handled/x');
  await fresh.unmount();
});

it('what was read meanwhile and afterwards is right', async () => {
  for (const name of ['cat', 'cp', 'copied']) expect((await readFile(at(name))).equals(content)).toBe(true);
  await mounted.idle();
});
