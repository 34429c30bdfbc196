/**
 * What programs see of each fault, on a real sshd and a network that fails on command: they wait, and then all is well;
 * or they are told the truth in time. After every fault the mount works again by itself.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { behindProxy, FaultProxy } from '../support/faults/proxy.js';
import {
  changeHostKey,
  killOne,
  killSessions,
  pause,
  replaceFile,
  shutDown,
} from '../support/faults/server.js';
import { type Mounted, type MountRequest, Remora } from '../support/remora.js';
import { must, start, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';

/** Losses are noticed within four seconds, and calls wait long enough for every test. */
const PATIENT = ['ServerAliveInterval=1,ServerAliveCountMax=3,ConnectTimeout=5,timeout=60'];
/** Silence that counts as a loss, in milliseconds. */
const DETECTION = 4_000;
const MEBIBYTE = 2 ** 20;
/** How long a server is away in the middle of a copy, in milliseconds; as a person would try it with REMORA_SLOW_TESTS=1. */
const AWAY = process.env.REMORA_SLOW_TESTS === undefined ? 8_000 : 20_000;

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let proxy: FaultProxy;
let disk: string;
let local: string;
let mount: Mounted;

beforeAll(async () => {
  scope = await Scope.open('faults');
  local = await scope.makeDirectory('local');
  await must('dd', ['if=/dev/urandom', `of=${join(local, 'large')}`, 'bs=1M', 'count=64']);
  await must('dd', ['if=/dev/urandom', `of=${join(local, 'medium')}`, 'bs=1M', 'count=24']);
});
afterAll(async () => {
  await scope?.close();
});

beforeEach(async () => {
  sshd = await Sshd.start(scope, { sftp: 'external' });
  proxy = await FaultProxy.start(sshd.port);
  disk = await scope.makeDirectory(`disk-${Math.random().toString(36).slice(2)}`);
  remora = await Remora.create(scope);
});
afterEach(async () => {
  await proxy.calm();
  await remora.discard();
  await proxy.stop();
  await sshd.stop();
});

async function mounted(request: MountRequest = {}): Promise<Mounted> {
  const server = await behindProxy(scope, sshd, proxy);
  mount = await remora.mount(server, disk, { options: PATIENT, ...request });
  return mount;
}

const at = (name: string) => join(mount.directory, name);

/** The mount does what it should, and ends with nothing left over. */
async function worksAndEnds(): Promise<void> {
  await must('sh', ['-c', 'echo fine > "$1" && cat "$1" && rm "$1"', 'sh', at('.after')]);
  await mount.unmount();
}

const same = (one: string, other: string) => must('cmp', [one, other]);

/** Waits until so many bytes of a file are there, on a disk that is not mounted. */
const grown = (path: string, bytes: number) =>
  until(`${bytes} bytes of ${path}`, async () => {
    const found = await stat(path).catch(() => null);
    return found !== null && found.size >= bytes;
  });

/** A copy under way, which has to end well. */
interface Copy {
  readonly child: ChildProcess;
  finish(): Promise<void>;
}

function copying(from: string, to: string): Copy {
  const child = start('cp', [from, to], { env: scope.environment });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = once(child, 'exit');
  const finish = async () => {
    const [code] = await ended;
    expect({ code, said }).toEqual({ code: 0, said: '' });
    await same(from, to.startsWith(mount.directory) ? join(disk, to.slice(mount.directory.length)) : to);
  };
  return { child, finish };
}

/** A Python program that holds things of the mount and goes on, step by step, when it is told to. */
class Program {
  readonly #child: ChildProcess;
  #said = '';

  /** `step()` in the code says so and waits for {@link next}. */
  constructor(code: string, ...args: readonly string[]) {
    const prelude = `
import errno, os, sys
def step():
    print('waiting', flush=True)
    sys.stdin.readline()
def outcome(call, *args):
    try: return call(*args)
    except OSError as error: return errno.errorcode[error.errno]
`;
    this.#child = start('python3', ['-c', prelude + code, ...args], {
      env: scope.environment,
      stdin: 'pipe',
    });
    for (const output of [this.#child.stdout, this.#child.stderr]) {
      output?.on('data', (chunk: Buffer) => {
        this.#said += chunk.toString();
      });
    }
    const { pid } = this.#child;
    scope.defer('program', async () => {
      if (pid !== undefined && this.#child.exitCode === null) this.#child.kill('SIGKILL');
    });
  }

  /** Waits until it waits. */
  async ready(): Promise<void> {
    await until('the program to wait', async () => this.#said.endsWith('waiting\n'));
    this.#said = '';
  }

  next(): void {
    this.#child.stdin?.write('\n');
  }

  /** What it has printed when it has ended. */
  async end(): Promise<string> {
    if (this.#child.exitCode === null) await once(this.#child, 'close');
    return this.#said.trim();
  }
}

describe('a large copy', () => {
  it('to the server goes on when its sessions are killed, again and again', async () => {
    await mounted();
    const copy = copying(join(local, 'large'), at('large'));
    for (const part of [4, 20, 40]) {
      await grown(join(disk, 'large'), part * MEBIBYTE);
      await killSessions(sshd);
    }
    await copy.finish();
    await worksAndEnds();
  });

  it('from the server goes on when its processes are killed one by one', async () => {
    await must('cp', [join(local, 'large'), join(disk, 'large')]);
    await mounted();
    const copy = copying(at('large'), join(local, 'copied'));
    for (const part of [2, 12, 24, 36]) {
      await grown(join(local, 'copied'), part * MEBIBYTE);
      await killOne(sshd, 'sftp', part / 40);
    }
    await copy.finish();
    await worksAndEnds();
  });

  it('goes on when the server is away in the middle of it', async () => {
    await mounted();
    const copy = copying(join(local, 'large'), at('large'));
    await grown(join(disk, 'large'), 8 * MEBIBYTE);
    await shutDown(sshd);
    await new Promise((resolve) => setTimeout(resolve, AWAY));
    expect(await mount.status()).toMatchObject({
      link: { state: expect.stringMatching(/offline|connecting/) },
    });
    await sshd.resume();
    await copy.finish();
    expect(await mount.status()).toMatchObject({ link: { state: 'connected', needsPerson: false } });
    await worksAndEnds();
  });
});

describe.each<[fault: string, play: () => Promise<void>]>([
  ['a byte that is spoilt on the way to the server', async () => proxy.corrupt('up', 1_000_000)],
  ['a byte that is spoilt on the way back', async () => proxy.corrupt('down', 1_000_000)],
  ['a reset after so many bytes to the server', async () => proxy.resetAfter('up', 3_000_000)],
  ['a reset after so many bytes from the server', async () => proxy.resetAfter('down', 3_000_000)],
  ['the end of what the server hears', async () => proxy.halfClose('up')],
  ['the end of what the server says', async () => proxy.halfClose('down')],
  ['bytes that come in small pieces', async () => proxy.split('random')],
  [
    'a server that refuses for a while',
    async () => {
      await proxy.refuse(true);
      proxy.cut();
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      await proxy.refuse(false);
    },
  ],
  [
    'a connection that is lost again while it recovers',
    async () => {
      for (let cuts = 0; cuts < 12; cuts++) {
        proxy.cut();
        await new Promise((resolve) => setTimeout(resolve, 20 + 30 * cuts));
      }
    },
  ],
  [
    'silence in both directions that outlasts the connection',
    async () => {
      proxy.stall();
      await new Promise((resolve) => setTimeout(resolve, DETECTION + 1_500));
      proxy.flow();
    },
  ],
])('%s', (_, play) => {
  it('spoils no copy, in either direction', async () => {
    await must('cp', [join(local, 'medium'), join(disk, 'there')]);
    await mounted();
    const name = `back-${Math.random().toString(36).slice(2)}`;
    const copies = [copying(join(local, 'medium'), at('here')), copying(at('there'), join(local, name))];
    await grown(join(disk, 'here'), MEBIBYTE);
    await play();
    for (const copy of copies) await copy.finish();
    await worksAndEnds();
  });
});

describe('what is open when the connection is lost', () => {
  it('stays open: files for reading and writing, directories, a working directory', async () => {
    await writeFile(join(disk, 'read'), 'abcdefghijklmnopqrstuvwxyz'.repeat(100_000));
    await mkdir(join(disk, 'many'));
    await Promise.all(
      Array.from({ length: 300 }, (__, index) => writeFile(join(disk, 'many', `f${index}`), '')),
    );
    await mounted();
    const program = new Program(
      `
os.chdir(sys.argv[1])
reading = os.open('read', os.O_RDONLY)
first = os.read(reading, 26)
writing = os.open('written', os.O_RDWR | os.O_CREAT)
os.write(writing, b'before, ')
entries = os.scandir('many')
names = [next(entries).name for _ in range(5)]
os.chdir('many')
step()
assert first == os.pread(reading, 26, 26 * 99_999), 'read'
os.write(writing, b'and after')
os.fsync(writing)
assert os.pread(writing, 100, 0) == b'before, and after', 'written'
names += [entry.name for entry in entries]
assert len(names) == len(set(names)) == 300, 'names'
assert len(os.listdir('.')) == 300, 'listed'
os.close(writing)
print('well')`,
      mount.directory,
    );
    await program.ready();
    await killSessions(sshd);
    program.next();
    expect(await program.end()).toBe('well');
    expect(await readFile(join(disk, 'written'), 'utf8')).toBe('before, and after');
    await worksAndEnds();
  });

  it('follows a file that was renamed through the mount', async () => {
    await mounted();
    const program = new Program(
      `
fd = os.open(sys.argv[1] + '/old', os.O_RDWR | os.O_CREAT)
os.write(fd, b'one ')
os.rename(sys.argv[1] + '/old', sys.argv[1] + '/new')
step()
os.write(fd, b'two')
os.fsync(fd)
print(os.pread(fd, 9, 0).decode())`,
      mount.directory,
    );
    await program.ready();
    await killSessions(sshd);
    program.next();
    expect(await program.end()).toBe('one two');
    expect(await readFile(join(disk, 'new'), 'utf8')).toBe('one two');
    await worksAndEnds();
  });

  const FILE_SIZE = 64 * MEBIBYTE;
  const OTHER = 'another file, and a longer one';
  const behindOurBack = [
    ['replaced', OTHER, () => replaceFile(join(disk, 'file'), OTHER)],
    ['removed', 'nothing', () => rm(join(disk, 'file'))],
  ] as const;

  /** Runs `code` on an open descriptor of `file`, which is changed on the server while it is away. */
  async function meanwhile(change: () => Promise<void>, code: string): Promise<readonly string[]> {
    await must('truncate', ['-s', String(FILE_SIZE), join(disk, 'file')]);
    await mounted();
    const program = new Program(
      `
path = sys.argv[1] + '/file'
fd = os.open(path, os.O_RDWR)
os.pread(fd, 10, 0)
step()
${code}
try: print(open(path).read())
except FileNotFoundError: print('nothing')`,
      mount.directory,
    );
    await program.ready();
    await shutDown(sshd);
    await change();
    await sshd.resume();
    program.next();
    return (await program.end()).split('\n');
  }

  it.each(behindOurBack)('is ESTALE to read when it was %s, and is said once', async (_, now, change) => {
    const code = `print(outcome(os.pread, fd, 10, ${FILE_SIZE / 2}), outcome(os.pread, fd, 10, ${FILE_SIZE - 10}))`;
    expect(await meanwhile(change, code)).toEqual(['ESTALE ESTALE', now]);
    const log = await must('sh', ['-c', 'cat "$1"/*.log', 'sh', join(remora.home, 'state', 'remora')]);
    expect(log.match(/file is stale/g)).toHaveLength(1);
    await worksAndEnds();
  });

  it.each(behindOurBack)(
    'is ESTALE to write when it was %s: no byte reaches another file',
    async (_, now, change) => {
      const code =
        "print([outcome(os.pwrite, fd, b'lost', 0), outcome(os.fsync, fd), outcome(os.close, fd)])";
      const [told, ...rest] = await meanwhile(change, code);
      expect(told).toContain('ESTALE');
      expect(rest).toEqual([now]);
      await worksAndEnds();
    },
  );
});

describe('a change whose answer is lost', () => {
  interface Change {
    readonly what: string;
    readonly code: string;
    /** Whether it has happened on the server. */
    done(): Promise<boolean>;
  }

  const there = (name: string) =>
    lstat(join(disk, name)).then(
      () => true,
      () => false,
    );

  const CHANGES: readonly Change[] = [
    { what: 'mkdir', code: "os.mkdir(p + '/new')", done: () => there('new') },
    { what: 'rmdir', code: "os.rmdir(p + '/dir')", done: async () => !(await there('dir')) },
    { what: 'unlink', code: "os.unlink(p + '/file')", done: async () => !(await there('file')) },
    { what: 'symlink', code: "os.symlink('target', p + '/new')", done: () => there('new') },
    { what: 'link', code: "os.link(p + '/file', p + '/new')", done: () => there('new') },
    { what: 'rename', code: "os.rename(p + '/file', p + '/new')", done: async () => !(await there('file')) },
    {
      what: 'rename onto another file',
      code: "os.rename(p + '/file', p + '/other')",
      done: async () => !(await there('file')),
    },
    {
      what: 'exclusive create',
      code: "os.close(os.open(p + '/new', os.O_CREAT | os.O_EXCL | os.O_WRONLY))",
      done: () => there('new'),
    },
    {
      what: 'truncate',
      code: "os.truncate(p + '/file', 2)",
      done: async () => (await stat(join(disk, 'file'))).size === 2,
    },
  ];

  beforeEach(async () => {
    await mkdir(join(disk, 'dir'));
    await writeFile(join(disk, 'file'), 'content');
    await writeFile(join(disk, 'other'), 'other');
  });

  const calling = (code: string) =>
    new Program(`p = sys.argv[1]\nos.listdir(p)\nstep()\nprint(outcome(lambda: ${code}))`, mount.directory);

  it.each(CHANGES)('$what that has happened is a success', async ({ code, done }) => {
    await mounted();
    const program = calling(code);
    await program.ready();
    proxy.stall(['down']);
    program.next();
    await until('the change', done);
    proxy.cut();
    proxy.flow();
    expect(await program.end()).toBe('None');
    expect(await done()).toBe(true);
    await worksAndEnds();
  });

  it.each(CHANGES)('$what that has not happened is made', async ({ code, done }) => {
    await mounted();
    const program = calling(code);
    await program.ready();
    const asked = proxy.held('up');
    proxy.stall(['up']);
    program.next();
    await until('the request', async () => proxy.held('up') > asked);
    expect(await done()).toBe(false);
    proxy.cut();
    proxy.flow();
    expect(await program.end()).toBe('None');
    expect(await done()).toBe(true);
    await worksAndEnds();
  });

  it('and that somebody else has made before is told as it is', async () => {
    await mounted();
    const program = calling("os.mkdir(p + '/new')");
    await program.ready();
    await shutDown(sshd);
    program.next();
    await mkdir(join(disk, 'new'));
    await writeFile(join(disk, 'new', 'theirs'), '');
    await sshd.resume();
    expect(await program.end()).toBe('EEXIST');
    await worksAndEnds();
  });
});

describe('a server that is silent', () => {
  it('and goes on in time is waited for, without another login', async () => {
    await mounted();
    await until('all connections', async () => (await mount.status()).lanes > 0);
    const logins = sshd.log.match(/Accepted publickey/g)?.length;
    const paused = await pause(sshd);
    const program = new Program('step(); os.mkdir(sys.argv[1])', at('new'));
    await program.ready();
    program.next();
    await until('the silence to be told', async () => (await mount.status()).link.state === 'degraded');
    paused.resume();
    expect(await program.end()).toBe('');
    expect(sshd.log.match(/Accepted publickey/g)?.length).toBe(logins);
    expect(await mount.status()).toMatchObject({ link: { state: 'connected' } });
    await worksAndEnds();
  });

  it('for longer than timeout: ETIMEDOUT in time, for every call; afterwards all is well', async () => {
    const directories = [0, 1, 2, 3, 4].map((index) => join(disk, `d${index}`));
    for (const directory of directories) {
      await mkdir(directory);
      await writeFile(join(directory, 'file'), 'x'.repeat(500_000));
    }
    await mounted({
      options: ['ServerAliveInterval=1,ServerAliveCountMax=2,ConnectTimeout=2,timeout=3,dir_cache=no'],
    });
    proxy.stall();
    const calls = [
      'os.mkdir(p + "/d")',
      'os.stat(p + "/file")',
      'os.listdir(p)',
      'os.open(p + "/file", os.O_RDONLY)',
      'os.rename(p + "/file", p + "/new")',
    ];
    // The kernel lets one change of a directory follow another, so each has a directory of its own.
    const timed = calls.map(
      (call, index) =>
        new Program(
          `
import time
p = sys.argv[1]
begun = time.monotonic()
print(outcome(lambda: ${call}), time.monotonic() - begun)`,
          at(`d${index}`),
        ),
    );
    const endings = await Promise.all(timed.map((program) => program.end()));
    for (const [index, ending] of endings.entries()) {
      const [errno = '', seconds = ''] = ending.split(' ');
      expect({ call: calls[index], errno }).toEqual({ call: calls[index], errno: 'ETIMEDOUT' });
      // Two seconds until the silence is noticed, three of waiting, and a busy machine.
      expect(Number(seconds), calls[index]).toBeLessThan(2 + 3 + 2);
    }
    proxy.cut();
    proxy.flow();
    await until('the mount to come back', async () => (await mount.status()).link.state === 'connected');
    await worksAndEnds();
  });
});

describe('a server with another host key', () => {
  it('hears nothing but a refusal; the mount is offline, says so, and comes back with the right key', async () => {
    await mounted();
    const undo = await changeHostKey(scope, sshd);
    await until('a person to be needed', async () => (await mount.status()).link.needsPerson);
    expect(await mount.status()).toMatchObject({
      link: { state: 'offline', reason: expect.stringMatching(/host key/i) },
    });
    const begun = performance.now();
    const refused = new Program('print(outcome(os.mkdir, sys.argv[1]))', at('new'));
    expect(await refused.end()).toBe('EHOSTDOWN');
    expect(performance.now() - begun).toBeLessThan(5_000);
    const heard = sshd.log.slice(sshd.log.lastIndexOf('Server listening'));
    expect(heard).not.toMatch(/Accepted|Failed|Postponed|authenticating user|Starting session/);
    expect((await remora.run(['status', mount.directory])).stdout).toMatch(/host key/i);
    expect((await remora.run(['reconnect', mount.directory])).code).not.toBe(0);

    await undo();
    expect(await remora.run(['reconnect', mount.directory])).toMatchObject({ code: 0, stderr: '' });
    await worksAndEnds();
  });
});

it('reconnect_max: after so many tries every call fails at once, until somebody asks', async () => {
  await mounted({ options: [...PATIENT, 'reconnect_max=2'] });
  await shutDown(sshd);
  await until(
    'the last try',
    async () => (await mount.status()).link.retryAt === null && (await mount.status()).link.attempts >= 2,
    30_000,
  );
  const refused = new Program('print(outcome(os.mkdir, sys.argv[1]))', at('new'));
  expect(await refused.end()).toBe('EHOSTDOWN');
  await sshd.resume();
  expect((await remora.run(['reconnect', mount.directory])).code).toBe(0);
  await worksAndEnds();
});

it('soft: a call fails at once, and the next one after the server is back works', async () => {
  await mounted({ options: ['ServerAliveInterval=1,ServerAliveCountMax=3,ConnectTimeout=5,soft'] });
  await shutDown(sshd);
  await until('the loss', async () => (await mount.status()).link.state !== 'connected');
  const refused = new Program('print(outcome(os.mkdir, sys.argv[1]))', at('new'));
  expect(await refused.end()).toBe('EHOSTDOWN');
  await sshd.resume();
  await until(
    'the mount to come back',
    async () => (await mount.status()).link.state === 'connected',
    30_000,
  );
  await worksAndEnds();
});
