/** What is told of a mount while it works, and what can be done about its cache: from outside, on real mounts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, statSync } from 'node:fs';
import { mkdir, open, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Warmed } from '../../src/cli/warm.js';
import { type Paused, pause } from '../support/faults/server.js';
import { endProcesses } from '../support/processes.js';
import { parseMetrics } from '../support/prometheus.js';
import { runOnTerminal } from '../support/pty.js';
import { type Mounted, Remora } from '../support/remora.js';
import { baseEnvironment, must, run, start, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';

const LONG_AGO = new Date('2020-01-01T00:00:00Z');
/** Trusts what it knows for an hour, so that only a refresh shows what has changed. */
const TRUSTING = 'dcache_timeout=3600,entry_timeout=3600,attr_timeout=3600,negative_timeout=3600';

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let disk: string;

beforeAll(async () => {
  scope = await Scope.open('looking');
  sshd = await Sshd.start(scope);
});
afterAll(() => scope?.close());
beforeEach(async () => {
  remora = await Remora.create(scope);
  disk = await scope.makeDirectory(`disk-${Math.random().toString(36).slice(2, 8)}`);
});
afterEach(() => remora.discard());

/** A file of the server that was there for long. */
async function old(name: string, content: string | Buffer): Promise<void> {
  await writeFile(join(disk, name), content);
  await utimes(join(disk, name), LONG_AGO, LONG_AGO);
}

/** Runs a command that has to succeed; what it prints. */
async function say(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await remora.run(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

const command = (...args: readonly string[]) => [...remora.program, ...args];

/** What stands on a screen of the terminal's own in the end: what was painted last. */
const painted = (output: string) => output.slice(output.lastIndexOf('\x1b[H')).replaceAll('\x1b[K', '');

/** Waits until the program has printed a word. */
function heard(child: ChildProcess): (word: string) => Promise<unknown> {
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return (word) => until(`"${word}" in "${text}"`, async () => text.includes(word));
}

/** The server neither answers nor hangs up, until these processes are continued, or the test file ends. */
async function stall(): Promise<Paused> {
  const paused = await pause(sshd);
  scope.defer('stalled sessions', async () => paused.resume());
  return paused;
}

/** What the tests look at of `status --json`. */
interface Status {
  readonly filesystem: Readonly<Record<string, number>>;
  readonly traffic: Readonly<Record<string, number>>;
  readonly calls: Readonly<Record<string, { count: number; median: number; buckets: readonly number[] }>>;
  readonly requests: Readonly<Record<string, { count: number }>>;
  readonly handles: readonly unknown[];
  readonly failures: readonly { call: string; path: string; errno: string; when: number }[];
  readonly unsent: readonly unknown[];
}

async function statusOf(mount: Mounted): Promise<Status> {
  return JSON.parse(await say('status', mount.directory, '--json')) as Status;
}

async function readsOf(mount: Mounted): Promise<number> {
  return (await statusOf(mount)).requests.READ?.count ?? 0;
}

describe('status', () => {
  it('tells a person, a program and a monitor what a mount does, once or again and again', async () => {
    await old('data', Buffer.alloc(200_000, 1));
    const mount = await remora.mount(sshd, disk);
    await must('sh', ['-c', 'cat data >/dev/null; ls missing 2>/dev/null || true'], { cwd: mount.directory });
    expect((await run('mkfifo', [join(mount.directory, 'fifo')])).code).not.toBe(0);
    const file = await open(join(mount.directory, 'data'), 'r');

    const status = await statusOf(mount);
    const { LOOKUP } = status.calls;
    expect(LOOKUP?.median).toBeGreaterThan(0);
    expect(LOOKUP?.buckets.reduce((sum, count) => sum + count, 0)).toBe(LOOKUP?.count);
    expect(status.handles).toEqual([{ path: 'data', access: 'read', unsent: 0 }]);
    expect(status.traffic.received).toBeGreaterThan(200_000);
    expect(status.traffic.roundTrip).toBeGreaterThan(0);
    expect(status.filesystem.attributeMisses).toBeGreaterThan(0);
    expect(status.failures).toMatchObject([{ call: 'MKNOD', path: 'fifo', errno: 'EPERM' }]);
    expect(status.unsent).toEqual([]);

    const text = await say('status', mount.directory);
    expect(text).toMatch(/^ {2}link {5}connected for \d+s, round trip [\d.]+ ms$/m);
    expect(text).toMatch(/^ {13}data \(read\)$/m);
    expect(text).toMatch(/^ {2}failed {3}\d+s ago MKNOD fifo: EPERM/m);
    expect(text).toMatch(/^ {11}LOOKUP +\d+ +0 +[\d.]+ m?s +[\d.]+ m?s$/m);

    const families = parseMetrics(await say('status', '--metrics', mount.directory));
    const labels = { mountpoint: mount.directory, source: `${sshd.user}@${sshd.host}:${disk}` };
    expect(families.get('remora_up')?.samples).toEqual([{ name: 'remora_up', labels, value: 1 }]);
    const counts = families.get('remora_request_duration_seconds')?.samples ?? [];
    const reads = counts.find(({ name, labels }) => name.endsWith('_count') && labels.request === 'READ');
    expect(reads?.value).toBe(status.requests.READ?.count);

    const watching = ['status', '--watch', mount.directory];
    // Where there is no terminal: one block after the other, without escape sequences.
    const [program, ...args] = command(...watching);
    const watcher = start(String(program), args, { env: remora.environment });
    let blocks = '';
    watcher.stdout?.on('data', (chunk: Buffer) => {
      blocks += chunk.toString();
    });
    await until('two blocks', async () => (blocks.match(/^ {2}state/gm) ?? []).length >= 2);
    const exit = once(watcher, 'exit');
    watcher.kill('SIGINT');
    expect(await exit).toEqual([130, null]);
    expect(blocks).not.toContain('\x1b');

    const size = ['sh', '-c', 'stty rows 10 cols 30; exec "$@"', 'sh'];
    const talk = [
      { expect: ' lines more)', answer: '' },
      { expect: ' lines more)', answer: '\x03' },
    ];
    const seen = await runOnTerminal([...size, ...command(...watching)], talk, { env: remora.environment });
    expect(seen.code).toBe(130);
    expect(seen.stdout.startsWith('\x1b[?1049h\x1b[?25l\x1b[?7l')).toBe(true);
    expect(seen.stdout.endsWith('\x1b[?7h\x1b[?25h\x1b[?1049l')).toBe(true);
    const lines = painted(seen.stdout).split(/\r*\n/);
    expect(lines).toHaveLength(10);
    expect(lines[1]).toBe('  state    serving');
    await file.close();
    await mount.unmount();
  });

  it('does not wait long for a process that was stopped', async () => {
    const mount = await remora.mount(sshd, disk);
    process.kill(mount.pid, 'SIGSTOP');
    try {
      for (const asked of ['list', 'status']) {
        const began = performance.now();
        expect(await say(asked)).toMatch(/not answering/);
        // Two seconds, and a loaded machine; a silent mount by itself is waited for for five.
        expect(performance.now() - began).toBeLessThan(6500);
      }
      expect((await remora.run(['refresh', mount.directory])).stderr).toMatch(/does not answer/);
    } finally {
      process.kill(mount.pid, 'SIGCONT');
    }
    await mount.unmount();
  });
});

describe('refresh', () => {
  it('shows at once what was changed on the server, below the path and nowhere else', async () => {
    for (const name of ['d', 'd/sub', 'other']) await mkdir(join(disk, name));
    for (const name of ['d/a', 'd/sub/b', 'other/c', 'top']) await old(name, 'old');
    const mount = await remora.mount(sshd, disk, { options: [TRUSTING] });
    const show = () => {
      const script = 'cat top d/a d/sub/b other/c d/new new 2>/dev/null; ls d | tr "\\n" " "; stat -c %s d/a';
      return must('sh', ['-c', script], { cwd: mount.directory });
    };
    expect(await show()).toBe('oldoldoldolda sub 3\n');
    // Of the same size and time: nothing but a refresh would ever show it.
    for (const name of ['d/a', 'd/sub/b', 'other/c', 'top']) await old(name, 'new');
    await old('d/new', '+');
    await old('new', '!');
    expect(await show(), 'what is trusted').toBe('oldoldoldolda sub 3\n');
    expect(await say('refresh', join(mount.directory, 'd'))).toBe('');
    expect(await show(), 'the tree alone').toBe('oldnewnewold+a new sub 3\n');
    await old('d/a', 'longer');
    await say('refresh', join(mount.directory, 'd', 'a'));
    expect(await show(), 'one file').toBe('oldlongernewold+a new sub 6\n');
    await say('refresh', mount.directory);
    expect(await show(), 'all').toBe('newlongernewnew+!a new sub 6\n');

    const nowhere = await remora.run(['refresh', disk]);
    expect(nowhere).toMatchObject({ code: 70, stdout: '' });
    for (const command of ['refresh', 'warm', 'status', 'reconnect']) {
      const { stderr } = await remora.run([command, 'x/y'], { cwd: disk });
      expect(stderr, command).toBe(`remora: ${disk}/x/y: nothing of Remora is mounted there\n`);
    }
    await mount.unmount();
  });
});

describe('warm', () => {
  it('fetches a tree, after which its data is not asked for again', async () => {
    await mkdir(join(disk, 'd'));
    for (let at = 0; at < 20; at += 1) await old(`d/f${at}`, Buffer.alloc(10_000, at));
    await old('d/large', Buffer.alloc(3_000_000, 7));
    await old('out', 'not asked for');
    const mount = await remora.mount(sshd, disk);
    const warmed = JSON.parse(await say('warm', join(mount.directory, 'd'), '--json')) as Warmed;
    expect(warmed).toMatchObject({
      files: 21,
      bytes: 3_200_000,
      omitted: { files: 0, bytes: 0 },
      failed: [],
    });
    const reads = await readsOf(mount);
    expect(reads).toBeGreaterThan(20);
    await must('sh', ['-c', 'cat d/* | cksum'], { cwd: mount.directory });
    expect(await readsOf(mount)).toBe(reads);

    const shown = await runOnTerminal(command('warm', join(mount.directory, 'out')), [], {
      env: remora.environment,
    });
    expect(shown.stdout).toMatch(/1 file, 13 B in \d+s \([\d.]+ (B|KiB)\/s\)\r\n$/);
    await mount.unmount();
  });

  it('leaves out what does not fit, says so, and goes on with what does', async () => {
    for (const name of ['a', 'b', 'c']) await old(name, Buffer.alloc(600_000, 1));
    await old('d', Buffer.alloc(100_000, 1));
    const mount = await remora.mount(sshd, disk, { options: ['cache_size=1M'] });
    const { code, stdout, stderr } = await remora.run(['warm', mount.directory]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^2 files, 683\.6 KiB in /) });
    expect(stderr).toBe(
      'remora: left out, since the cache holds 1.0 MiB (-o cache_size=): 2 files, 1.1 MiB\n',
    );
    await mount.unmount();
  });

  it('ends with Ctrl-C though the server does not answer', async () => {
    await old('a', Buffer.alloc(2_000_000, 1));
    const mount = await remora.mount(sshd, disk);
    const stalled = await stall();
    const talk = [{ expect: '0 files, ', answer: '\x03' }];
    const shown = await runOnTerminal(command('warm', mount.directory), talk, { env: remora.environment });
    expect(shown.code).toBe(130);
    stalled.resume();
    await mount.unmount();
  });
});

describe('unmount', () => {
  it('shows on a terminal how much there is left to send, if that takes long', async () => {
    await old('f', 'old');
    const mount = await remora.mount(sshd, disk);
    const script = `import sys
f = open(sys.argv[1], 'r+b', buffering=0); print('open', flush=True); sys.stdin.readline()
f.write(bytes(300000)); print('written', flush=True); sys.stdin.readline()`;
    const writer = start('python3', ['-c', script, join(mount.directory, 'f')], { stdin: 'pipe' });
    const says = heard(writer);
    await says('open');
    const { pids } = await stall();
    writer.stdin?.write('\n');
    await says('written');
    const resuming = 'pids=$1; shift; "$@" & read line; kill -CONT $pids; wait $!';
    const unmounting = ['sh', '-c', resuming, 'sh', pids.join(' '), ...command('unmount', mount.directory)];
    const talk = [{ expect: '293.0 KiB to be sent, 0 B/s', answer: '\n' }];
    const seen = await runOnTerminal(unmounting, talk, { env: remora.environment });
    expect(seen.code, 'all is sent, and the file is open').toBe(71);
    expect((await readFile(join(disk, 'f'))).length).toBe(300_000);
    const exit = once(writer, 'exit');
    writer.stdin?.end();
    await exit;
    await mount.unmount();
  });
});

describe('the log', () => {
  it('is shown and followed while a mount lives, and shown when it has ended', async () => {
    const mount = await remora.mount(sshd, disk);
    expect(await say('log', mount.directory)).toBe('');
    const [program, ...args] = command('log', '-f', mount.directory);
    const follower = start(String(program), args, { env: remora.environment });
    const says = heard(follower);
    await endProcesses([...(await sshd.sessions())], 'SIGKILL');
    await says('connected again');
    const exit = once(follower, 'exit');
    follower.kill('SIGINT');
    expect(await exit).toEqual([130, null]);
    const text = await say('log', mount.directory);
    expect(text).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z remora: .*; reconnecting\n.*connected again\n/);
    await mount.unmount();
    expect(await say('log', mount.directory)).toBe(text);
    for (const follow of [[], ['-f']]) {
      expect(await remora.run(['log', disk, ...follow])).toMatchObject({ code: 70, stdout: '' });
    }
  });

  it('goes to the journal, with priorities, when systemd has started the mount', async () => {
    const stream = join(remora.home, 'stream');
    const fd = openSync(stream, 'a');
    const { dev, ino } = statSync(stream);
    const mountpoint = await remora.mountpoint();
    const source = `${sshd.user}@${sshd.host}:${disk}`;
    const [program, ...args] = command(source, mountpoint, ...(await remora.login(sshd)));
    const env = { ...baseEnvironment(), ...remora.environment, JOURNAL_STREAM: `${dev}:${ino}` };
    const child = spawn(String(program), args, { stdio: ['ignore', 'ignore', fd], env, cwd: '/' });
    expect(await once(child, 'exit')).toEqual([0, null]);
    closeSync(fd);
    const mount = await remora.adopt(mountpoint);
    await endProcesses([...(await sshd.sessions())], 'SIGKILL');
    await until('the journal', async () => (await readFile(stream, 'utf8')).includes('connected again'));
    expect(await readFile(stream, 'utf8')).toMatch(
      /^<4>remora: .*; reconnecting\n<4>remora: .*connected again\n$/,
    );
    expect(await remora.run(['log', mountpoint])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`journalctl _PID=${mount.pid}`),
    });
    await mount.unmount();
  });

  it('has a line of each call, with its result and its time, with -d', async () => {
    await old('a b', 'text');
    const mountpoint = await remora.mountpoint();
    const source = `${sshd.user}@${sshd.host}:${disk}`;
    const [program, ...args] = command('-d', source, mountpoint, ...(await remora.login(sshd)));
    const child = start(String(program), args, { env: remora.environment });
    let text = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    await remora.adopt(mountpoint);
    await must('sh', ['-c', 'cat "a b"; ls none || true; mkdir d; mv d e; rmdir e'], { cwd: mountpoint });
    const exit = once(child, 'close');
    child.kill('SIGINT');
    await exit;
    const calls = text.split('\n').flatMap((line) => / remora:call (.*) [\d.]+ ms$/.exec(line)?.[1] ?? []);
    const shapes = calls.map((call) => call.replace(/(ino|fh) \d+/g, '$1 N'));
    for (const shape of [
      'LOOKUP a b -> ino N',
      'LOOKUP none -> ENOENT',
      'OPEN a b flags 0100000 -> fh N',
      'READ a b fh N 4096 bytes at 0 -> 4 bytes',
      'MKDIR d 0755 -> ino N',
      'RENAME2 d to e flags 1 -> ok',
      'RMDIR e -> ok',
    ]) {
      expect(shapes).toContain(shape);
    }
  });
});
