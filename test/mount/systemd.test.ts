/**
 * Mounts as services: the example unit's own command lines, started and stopped as systemd does, before a manager that
 * listens as systemd does: to the main process alone.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { MountFixture } from '../support/mount-fixture.js';
import { NotifyListener } from '../support/notify-listener.js';
import { endProcesses, isAlive, mountAt } from '../support/processes.js';
import { start, until } from '../support/run.js';

const world = new MountFixture('systemd', { serverPerTest: true });

const UNIT = resolve(import.meta.dirname, '..', '..', 'examples', 'systemd', 'remora@.service');

/** The options for the test's server, as `-o` has them. */
async function login(): Promise<string> {
  const [, port, , key, , others] = await world.remora.login(world.sshd);
  return `port=${port},IdentityFile=${key},${others}`;
}

/** The arguments of a command line of the unit, with the variables of its environment file. */
function commandLine(unit: string, setting: string, variables: Readonly<Record<string, string>>): string[] {
  const line = new RegExp(`^${setting}=remora (.*)$`, 'm').exec(unit)?.[1] ?? '';
  return line.split(' ').map((word) => word.replace(/^\$\{(\w+)\}$/, (_, name) => variables[name] ?? ''));
}

it('the example unit: ready when mounted, says how the connection is, alive, stopped in order', async () => {
  const unit = await readFile(UNIT, 'utf8');
  const mountpoint = await world.remora.mountpoint();
  const variables = { SOURCE: world.source, MOUNTPOINT: mountpoint, OPTIONS: await login() };
  expect(unit).toMatch(/^Type=notify$/m);
  expect([...unit.matchAll(/\$\{(\w+)\}/g)].every(([, name = '']) => name in variables)).toBe(true);

  const socket = join(world.scope.directory, 'notify');
  const manager = await NotifyListener.listen(world.scope, socket);
  const env = { ...world.remora.environment, NOTIFY_SOCKET: socket, WATCHDOG_USEC: '400000' };
  const [node, main] = world.remora.program;
  const service = start(node, [main, ...commandLine(unit, 'ExecStart', variables)], { env });
  const pid = service.pid ?? 0;
  world.scope.defer('the service', () => endProcesses([pid]));
  const exit = new Promise<number | null>((done) => service.on('exit', done));

  const ready = await manager.hears(/^READY=1$/);
  expect(ready.pid, 'said by the main process').toBe(pid);
  expect((await mountAt(mountpoint))?.type).toBe('fuse.remora');
  await manager.hears(/^STATUS=.*: connected$/);
  const mount = await world.remora.adopt(mountpoint);
  await writeFile(join(mountpoint, 'written'), 'sent');

  const before = manager.heard.length;
  const sessions = await world.sshd.sessions();
  await world.sshd.halt();
  await endProcesses(sessions, 'SIGKILL');
  await manager.hears(/^STATUS=.*: offline \(.+\)$/, before);
  await manager.hears(/^WATCHDOG=1$/, manager.heard.length);
  await world.sshd.resume();
  await manager.hears(/^STATUS=.*: connected$/, before);

  // A loop that hangs is silent.
  process.kill(mount.pid, 'SIGSTOP');
  const stopped = manager.heard.length;
  await new Promise((done) => setTimeout(done, 1000));
  expect(manager.heard.slice(stopped + 1)).toEqual([]);
  process.kill(mount.pid, 'SIGCONT');
  await manager.hears(/^WATCHDOG=1$/, stopped + 1);

  await mount.idle();
  const stop = await world.remora.run(commandLine(unit, 'ExecStop', variables));
  expect(stop).toMatchObject({ code: 0, stderr: '' });
  await manager.hears(/^STOPPING=1$/, stopped);
  expect(await exit).toBe(0);
  expect(await isAlive(mount.pid)).toBe(false);
  expect(await readFile(join(world.disk, 'written'), 'utf8')).toBe('sent');
  expect(new Set(manager.heard.map((each) => each.pid)), 'nobody else spoke').toEqual(new Set([pid]));
});

it('SIGTERM to every process of the service, as without ExecStop: unmounted, exit code 0', async () => {
  const mountpoint = await world.remora.mountpoint();
  const [node, main] = world.remora.program;
  const args = [world.source, mountpoint, '-f', '-o', await login()];
  const service = start(node, [main, ...args], { env: world.remora.environment });
  const exit = new Promise<number | null>((done) => service.on('exit', done));
  const mount = await world.remora.adopt(mountpoint);
  for (const pid of [service.pid ?? 0, mount.pid]) process.kill(pid, 'SIGTERM');
  expect(await exit).toBe(0);
  await mount.ended();
});

it('in the background the main process is another one from then on', async () => {
  const socket = `@${world.scope.directory}`;
  const manager = await NotifyListener.listen(world.scope, socket);
  const mount = await world.mount({ env: { NOTIFY_SOCKET: socket } });
  const ready = await manager.hears(/^READY=1$/);
  expect((await manager.hears(/^MAINPID=/)).assignment).toBe(`MAINPID=${mount.pid}`);
  expect(ready.pid).not.toBe(mount.pid);
  await mount.unmount();
  expect((await manager.hears(/^STOPPING=1$/)).pid).toBe(mount.pid);
});

it('a manager that is not there is done without', async () => {
  const mount = await world.mount({ env: { NOTIFY_SOCKET: '/nowhere/at/all', WATCHDOG_USEC: '100000' } });
  await until('an answer', async () => (await mount.status()).state === 'serving');
  await mount.unmount();
});
