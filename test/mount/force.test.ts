/**
 * `remora unmount --force` always ends a mount, whatever hangs: the server, programs, the serving process itself.
 * Stuck programs get their error within seconds, and what was not sent is named.
 */
import { readdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { MountFixture } from '../support/mount-fixture.js';
import { isAlive, mountAt } from '../support/processes.js';
import { type Mounted, Remora } from '../support/remora.js';
import { start, until } from '../support/run.js';
import { Sshd } from '../support/sshd.js';
import { createUser, isRoot } from '../support/user.js';

/** Milliseconds for the command, with its moments of patience: for the server, and for a silent process. */
const SECONDS = 20_000;

const world = new MountFixture('force', { serverPerTest: true });

beforeAll(async () => {
  await writeFile(join(world.disk, 'big'), Buffer.alloc(4_000_000, 1));
});

/** The server neither answers nor hangs up, until the end of the test. */
async function stall(server: Sshd): Promise<void> {
  const pids = await server.sessions();
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  world.scope.defer('stalled sessions', async () => {
    for (const pid of pids) if (await isAlive(pid)) process.kill(pid, 'SIGCONT');
  });
}

/** A program that opens a file, waits for a word, then makes one call and tells how it ended. */
function program(call: string, path: string, as?: Remora['as']) {
  const code = `
import errno, os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT if 'write' in '''${call}''' else os.O_RDONLY)
print("open", flush=True)
sys.stdin.readline()
print("calling", flush=True)
try:
    ${call}
    print("done", flush=True)
except OSError as error:
    print("failed", errno.errorcode[error.errno], flush=True)
sys.stdin.readline()`;
  const child = start('python3', ['-c', code, path], { env: world.scope.environment, stdin: 'pipe', as });
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  return {
    says: (word: string) => until(`${call}: ${word}, but: ${said}`, async () => said.includes(word)),
    go: () => child.stdin?.write('\n'),
    end: () => child.stdin?.end(),
    outcome: () => until(`${call} to end`, async () => /^(done|failed \w+)$/m.exec(said)?.[1], SECONDS),
  };
}

async function gone(mount: Mounted): Promise<void> {
  expect(await mountAt(mount.directory)).toBe(null);
  expect(await isAlive(mount.pid)).toBe(false);
  const left = () => readdir(join(mount.remora.home, 'remora'));
  await until('locks and sockets to go', async () => (await left()).length === 0);
}

async function log(of: Remora): Promise<string> {
  const directory = join(of.home, 'state', 'remora');
  const names = await readdir(directory).catch(() => []);
  return (await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')))).join('');
}

it.each(isRoot ? ['root', 'a plain user'] : ['a plain user'])(
  'as %s, with a stalled server: a stuck read ends, an unsent file is named with its size, 72',
  async (who) => {
    const as = who === 'root' || !isRoot ? undefined : await createUser(world.scope);
    const own = as === undefined ? world.remora : await Remora.create(world.scope, as);
    const server = as === undefined ? world.sshd : await Sshd.start(world.scope, { user: as.name });
    const mount = await own.mount(server, world.disk);
    const reader = program('os.pread(fd, 100000, 1000000)', join(mount.directory, 'big'), as);
    const writer = program('os.write(fd, b"x" * 50000)', join(mount.directory, `unsent-${server.port}`), as);
    await reader.says('open');
    await writer.says('open');
    await stall(server);
    reader.go();
    writer.go();
    await reader.says('calling');
    expect(await writer.outcome()).toBe('done');
    const begun = performance.now();
    const finished = await own.run(['unmount', '--force', mount.directory]);
    expect(performance.now() - begun).toBeLessThan(SECONDS);
    expect(finished).toMatchObject({ code: 72 });
    expect(finished.stderr).toContain(`unsent-${server.port}: 48.8 KiB`);
    expect(await reader.outcome()).toMatch(/^failed (ECONNABORTED|ENOTCONN)$/);
    expect(await log(own)).toContain(`unsent-${server.port}: 48.8 KiB`);
    await gone(mount);
    reader.end();
    writer.end();
  },
);

it('a serving process that is stopped is woken and says what it has', async () => {
  const mount = await world.mount();
  const reader = program('os.pread(fd, 100000, 1000000)', join(mount.directory, 'big'));
  const writer = program('os.write(fd, b"x" * 50000)', join(mount.directory, 'sent-at-last'));
  await reader.says('open');
  await writer.says('open');
  writer.go();
  expect(await writer.outcome()).toBe('done');
  process.kill(mount.pid, 'SIGSTOP');
  reader.go();
  await reader.says('calling');
  expect(await world.remora.run(['unmount', '--force', mount.directory])).toMatchObject({
    code: 0,
    stderr: '',
  });
  expect(await reader.outcome()).toMatch(/^(done|failed (ECONNABORTED|ENOTCONN))$/);
  expect(await readFile(join(world.disk, 'sent-at-last'), 'utf8')).toBe('x'.repeat(50_000));
  await gone(mount);
  reader.end();
  writer.end();
});

it('a serving process that stays silent is gone around: stuck programs get their error, 72 since nobody knows', async () => {
  const mount = await world.mount();
  const reader = program('os.pread(fd, 100000, 1000000)', join(mount.directory, 'big'));
  await reader.says('open');
  await stall(world.sshd);
  reader.go();
  await reader.says('calling');
  const runtime = join(world.remora.home, 'remora');
  const socket = (await readdir(runtime)).find((name) => name.endsWith('.sock')) ?? '';
  await unlink(join(runtime, socket));
  const silent = createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => silent.listen(join(runtime, socket), resolve));
  const finished = await world.remora
    .run(['unmount', '--force', mount.directory])
    .finally(() => new Promise((resolve) => silent.close(resolve)));
  expect(finished).toMatchObject({ code: 72 });
  expect(finished.stderr).toContain(`process ${mount.pid} did not say`);
  expect(await reader.outcome()).toMatch(/^failed (ECONNABORTED|ENOTCONN)$/);
  await gone(mount);
  reader.end();
});

it('what the server takes after all, while the mount ends, is not reported as lost', async () => {
  const mount = await world.mount({ options: ['timeout=5'] });
  const writer = program('os.write(fd, b"x" * 50000)', join(mount.directory, 'late'));
  await writer.says('open');
  await world.sshd.halt();
  for (const pid of await world.sshd.sessions()) process.kill(pid, 'SIGKILL');
  await until('the loss to be noticed', async () => (await mount.status()).link.state !== 'connected');
  writer.go();
  expect(await writer.outcome()).toBe('done');
  writer.end();
  process.kill(mount.pid, 'SIGTERM');
  // When what was written could not be sent in time, it tries to leave the tree, and then to send once more.
  const begun = performance.now();
  await until('the first time to be over', async () => performance.now() - begun > 6000);
  await world.sshd.resume();
  process.kill(mount.pid, 'SIGUSR1');
  await mount.ended();
  await gone(mount);
  expect(await readFile(join(world.disk, 'late'))).toHaveLength(50_000);
  expect(await log(world.remora)).not.toContain('did not take');
});
