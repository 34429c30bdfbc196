/**
 * A server that is silent, away, or not itself: programs wait for as long as was asked for and no longer, and get an
 * errno that says so; when the server is back, the mount works again.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FaultFixture, PATIENT } from '../support/faults/fixture.js';
import { changeHostKey, pause, shutDown } from '../support/faults/server.js';
import { until } from '../support/run.js';

const world = new FaultFixture('faults-outages');

describe('a server that is silent', () => {
  it('and goes on in time is waited for, without another login', async () => {
    await world.mount();
    await until('all connections', async () => (await world.mounted.status()).lanes > 0);
    const logins = world.sshd.log.match(/Accepted publickey/g)?.length;
    const paused = await pause(world.sshd);
    const program = world.program('step(); os.mkdir(sys.argv[1])', world.at('new'));
    await program.ready();
    program.next();
    await until('the silence to be told', async () => (await world.link()).state === 'degraded');
    paused.resume();
    expect(await program.end()).toBe('');
    expect(world.sshd.log.match(/Accepted publickey/g)?.length).toBe(logins);
    expect(await world.link()).toMatchObject({ state: 'connected' });
    await world.worksAndEnds();
  });

  it('for longer than timeout: ETIMEDOUT in time, for every call; afterwards all is well', async () => {
    const directories = [0, 1, 2, 3, 4].map((index) => world.onDisk(`d${index}`));
    for (const directory of directories) {
      await mkdir(directory);
      await writeFile(join(directory, 'file'), 'x'.repeat(500_000));
    }
    await world.mount({
      options: ['ServerAliveInterval=1,ServerAliveCountMax=2,ConnectTimeout=2,timeout=3,dir_cache=no'],
    });
    world.proxy.stall();
    const calls = [
      'os.mkdir(p + "/d")',
      'os.stat(p + "/file")',
      'os.listdir(p)',
      'os.open(p + "/file", os.O_RDONLY)',
      'os.rename(p + "/file", p + "/new")',
    ];
    // The kernel lets one change of a directory follow another, so each has a directory of its own.
    const timed = calls.map((call, index) =>
      world.program(
        `
import time
p = sys.argv[1]
begun = time.monotonic()
print(outcome(lambda: ${call}), time.monotonic() - begun)`,
        world.at(`d${index}`),
      ),
    );
    const endings = await Promise.all(timed.map((program) => program.end()));
    for (const [index, ending] of endings.entries()) {
      const [errno = '', seconds = ''] = ending.split(' ');
      expect({ call: calls[index], errno }).toEqual({ call: calls[index], errno: 'ETIMEDOUT' });
      // Two seconds until the silence is noticed, three of waiting, and a busy machine.
      expect(Number(seconds), calls[index]).toBeLessThan(2 + 3 + 2);
    }
    world.proxy.cut();
    world.proxy.flow();
    await until('the mount to come back', async () => (await world.link()).state === 'connected');
    await world.worksAndEnds();
  });
});

describe('a server with another host key', () => {
  it('hears nothing but a refusal; the mount is offline, says so, and comes back with the right key', async () => {
    await world.mount();
    const undo = await changeHostKey(world.scope, world.sshd);
    await until('a person to be needed', async () => (await world.link()).needsPerson);
    expect(await world.link()).toMatchObject({
      state: 'offline',
      reason: expect.stringMatching(/host key/i),
    });
    const begun = performance.now();
    const refused = world.program('print(outcome(os.mkdir, sys.argv[1]))', world.at('new'));
    expect(await refused.end()).toBe('EHOSTDOWN');
    expect(performance.now() - begun).toBeLessThan(5_000);
    const heard = world.sshd.log.slice(world.sshd.log.lastIndexOf('Server listening'));
    expect(heard).not.toMatch(/Accepted|Failed|Postponed|authenticating user|Starting session/);
    expect((await world.remora.run(['status', world.mounted.directory])).stdout).toMatch(/host key/i);
    expect((await world.remora.run(['reconnect', world.mounted.directory])).code).not.toBe(0);

    await undo();
    expect(await world.remora.run(['reconnect', world.mounted.directory])).toMatchObject({
      code: 0,
      stderr: '',
    });
    await world.worksAndEnds();
  });
});

it('reconnect_max: after so many tries every call fails at once, until somebody asks', async () => {
  await world.mount({ options: [...PATIENT, 'reconnect_max=2'] });
  await shutDown(world.sshd);
  await until(
    'the last try',
    async () => (await world.link()).retryAt === null && (await world.link()).attempts >= 2,
    30_000,
  );
  const refused = world.program('print(outcome(os.mkdir, sys.argv[1]))', world.at('new'));
  expect(await refused.end()).toBe('EHOSTDOWN');
  await world.sshd.resume();
  expect((await world.remora.run(['reconnect', world.mounted.directory])).code).toBe(0);
  await world.worksAndEnds();
});

it('soft: a call fails at once, and the next one after the server is back works', async () => {
  await world.mount({ options: ['ServerAliveInterval=1,ServerAliveCountMax=3,ConnectTimeout=5,soft'] });
  await shutDown(world.sshd);
  await until('the loss', async () => (await world.link()).state !== 'connected');
  const refused = world.program('print(outcome(os.mkdir, sys.argv[1]))', world.at('new'));
  expect(await refused.end()).toBe('EHOSTDOWN');
  await world.sshd.resume();
  await until('the mount to come back', async () => (await world.link()).state === 'connected', 30_000);
  await world.worksAndEnds();
});
