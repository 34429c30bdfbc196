/**
 * Copies of large files while servers die and the network fails, on a real sshd: every byte arrives, in both
 * directions, and after the fault the mount works again by itself.
 */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { FaultFixture, grown, MEBIBYTE } from '../support/faults/fixture.js';
import { killOne, killSessions, shutDown } from '../support/faults/server.js';
import { must, until } from '../support/run.js';

/** How long a server is away in the middle of a copy, in milliseconds; as a person would try it with REMORA_SLOW_TESTS=1. */
const AWAY = process.env.REMORA_SLOW_TESTS === undefined ? 8_000 : 20_000;

const world = new FaultFixture('faults-copies');
let local: string;

beforeAll(async () => {
  local = await world.scope.makeDirectory('local');
  await must('dd', ['if=/dev/urandom', `of=${join(local, 'large')}`, 'bs=1M', 'count=64']);
  await must('dd', ['if=/dev/urandom', `of=${join(local, 'medium')}`, 'bs=1M', 'count=24']);
});

describe('a large copy', () => {
  it('to the server goes on when its sessions are killed, again and again', async () => {
    await world.mount();
    const copy = world.copy(join(local, 'large'), world.at('large'));
    for (const part of [4, 20, 40]) {
      await grown(world.onDisk('large'), part * MEBIBYTE);
      await killSessions(world.sshd);
    }
    await copy();
    await world.worksAndEnds();
  });

  it('from the server goes on when its processes are killed one by one', async () => {
    await must('cp', [join(local, 'large'), world.onDisk('large')]);
    await world.mount();
    const copy = world.copy(world.at('large'), join(local, 'copied'));
    for (const part of [2, 12, 24, 36]) {
      await grown(join(local, 'copied'), part * MEBIBYTE);
      await killOne(world.sshd, 'sftp', part / 40);
    }
    await copy();
    await world.worksAndEnds();
  });

  it('goes on when the server is away in the middle of it', async () => {
    await world.mount();
    const copy = world.copy(join(local, 'large'), world.at('large'));
    await grown(world.onDisk('large'), 8 * MEBIBYTE);
    await shutDown(world.sshd);
    // Time itself is tested: tries fail one after the other, and the copy outwaits them.
    await new Promise((resolve) => setTimeout(resolve, AWAY));
    expect(await world.link()).toMatchObject({ state: expect.stringMatching(/offline|connecting/) });
    await world.sshd.resume();
    await copy();
    await until('the mount to be connected', async () => (await world.link()).state === 'connected');
    await world.worksAndEnds();
  });
});

describe.each<[fault: string, play: () => Promise<void>]>([
  ['a byte that is spoilt on the way to the server', async () => world.proxy.corrupt('up', 1_000_000)],
  ['a byte that is spoilt on the way back', async () => world.proxy.corrupt('down', 1_000_000)],
  ['a reset after so many bytes to the server', async () => world.proxy.resetAfter('up', 3_000_000)],
  ['a reset after so many bytes from the server', async () => world.proxy.resetAfter('down', 3_000_000)],
  ['the end of what the server hears', async () => world.proxy.halfClose('up')],
  ['the end of what the server says', async () => world.proxy.halfClose('down')],
  ['bytes that come in small pieces', async () => world.proxy.split('random')],
  [
    'a server that refuses for a while',
    async () => {
      await world.proxy.refuse(true);
      world.proxy.cut();
      await until('refused tries', async () => (await world.link()).attempts >= 2);
      await world.proxy.refuse(false);
    },
  ],
  [
    'a connection that is lost again while it recovers',
    async () => {
      for (let cuts = 0; cuts < 12; cuts++) {
        world.proxy.cut();
        // Each cut comes a little later in the recovery than the one before, wherever that is then.
        await new Promise((resolve) => setTimeout(resolve, 20 + 30 * cuts));
      }
    },
  ],
  [
    'silence in both directions that outlasts the connection',
    async () => {
      world.proxy.stall();
      await until('the loss', async () => /offline|connecting/.test((await world.link()).state));
      world.proxy.flow();
    },
  ],
])('%s', (_, play) => {
  it('spoils no copy, in either direction', async () => {
    await must('cp', [join(local, 'medium'), world.onDisk('there')]);
    await world.mount();
    const name = `back-${Math.random().toString(36).slice(2)}`;
    const copies = [
      world.copy(join(local, 'medium'), world.at('here')),
      world.copy(world.at('there'), join(local, name)),
    ];
    await grown(world.onDisk('here'), MEBIBYTE);
    await play();
    for (const copy of copies) await copy();
    await world.worksAndEnds();
  });
});
