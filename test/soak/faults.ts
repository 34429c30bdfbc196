/**
 * The faults of a run: what each does, for how long, and how often it comes. Each takes itself back, unless it is of
 * the kind that cannot be taken back (a cut, a kill). A fault never runs twice at once; different ones do.
 *
 * A server process that is stopped either goes on before it can count as lost, or is killed: one that wakes up later
 * would carry out requests that were given up long ago, which no client of SFTP can prevent.
 */
import { join } from 'node:path';
import type { SmallDisk } from '../support/faults/disk.js';
import { DIRECTIONS, type FaultProxy } from '../support/faults/proxy.js';
import { killOne, killSessions, pause, replaceFile, shutDown } from '../support/faults/server.js';
import type { Sshd } from '../support/sshd.js';
import { stream } from './claims.js';
import type { Random } from './random.js';
import { WATCHED, watchedHeader, watchedSize, watchedStream } from './workers/witness.js';

export interface Stage {
  readonly sshd: Sshd;
  readonly proxy: FaultProxy;
  /** The server's disk; null where it cannot be filled. */
  readonly disk: SmallDisk | null;
  readonly watched: WatchedFile;
  /** Milliseconds after which silence of the server counts as its loss, and that calls wait for it. */
  readonly detection: number;
  readonly timeout: number;
}

export interface Moment {
  readonly stage: Stage;
  readonly random: Random;
  /** Waits so many milliseconds, or until the storm is over. */
  wait(milliseconds: number): Promise<void>;
}

export interface Fault {
  /** How often, compared with the others. */
  readonly weight: number;
  play(moment: Moment): Promise<void>;
}

/** Faults of one group share something that only one of them may switch at a time. */
export interface Grouped extends Fault {
  readonly group: string;
}

const network = (weight: number, play: Fault['play']): Grouped => ({ group: 'network', weight, play });
const once = (weight: number, play: Fault['play']): Grouped => ({ group: 'once', weight, play });
const server = (weight: number, play: Fault['play']): Grouped => ({ group: 'server', weight, play });

export const FAULTS: Readonly<Record<string, Grouped>> = {
  slow: {
    group: 'pace',
    weight: 3,
    async play({ stage: { proxy }, random, wait }) {
      proxy.pace(random.between(2, 60), random.chance(0.5) ? null : random.between(30, 300));
      await wait(random.between(500, 3_000));
      proxy.pace(0);
    },
  },
  split: {
    group: 'split',
    weight: 2,
    async play({ stage: { proxy }, random, wait }) {
      proxy.split(random.pick([1, 3, 'random', 'random'] as const));
      await wait(random.between(200, 1_000));
      proxy.split(null);
    },
  },
  corrupt: once(3, async ({ stage: { proxy }, random }) => {
    proxy.corrupt(random.pick(DIRECTIONS), random.between(0, 200_000));
  }),
  'reset after bytes': once(4, async ({ stage: { proxy }, random }) => {
    proxy.resetAfter(random.pick(DIRECTIONS), random.between(0, 300_000));
  }),
  cut: once(3, async ({ stage: { proxy } }) => {
    proxy.cut();
  }),
  'cut again and again': once(2, async ({ stage: { proxy }, random, wait }) => {
    for (let cuts = random.between(2, 6); cuts > 0; cuts--) {
      proxy.cut();
      await wait(random.between(20, 500));
    }
  }),
  'half-close': once(2, async ({ stage: { proxy }, random }) => {
    proxy.halfClose(random.pick(DIRECTIONS));
  }),
  'short stall': network(3, async ({ stage: { proxy, detection }, random, wait }) => {
    const directions = random.pick([['up'], ['down'], ['up', 'down']] as const);
    proxy.stall(directions);
    await wait(random.between(100, detection / 2));
    proxy.flow(directions);
  }),
  'long stall': network(2, async ({ stage: { proxy, detection }, random, wait }) => {
    const directions = random.pick([['up'], ['down'], ['up', 'down']] as const);
    proxy.stall(directions);
    await wait(detection + random.between(500, 2_000));
    proxy.flow(directions);
  }),
  refuse: network(2, async ({ stage: { proxy }, random, wait }) => {
    await proxy.refuse(true);
    proxy.cut();
    await wait(random.between(200, 3_000));
    await proxy.refuse(false);
  }),
  'long outage': network(1, async ({ stage: { proxy, timeout }, random, wait }) => {
    await proxy.refuse(true);
    proxy.cut();
    await wait(timeout + random.between(1_000, 3_000));
    await proxy.refuse(false);
  }),
  mute: network(2, async ({ stage: { proxy }, random, wait }) => {
    proxy.mute(true);
    proxy.cut();
    await wait(random.between(500, 3_000));
    proxy.mute(false);
  }),
  'kill all sessions': server(2, async ({ stage: { sshd } }) => {
    await killSessions(sshd);
  }),
  'kill one session': server(2, async ({ stage: { sshd }, random }) => {
    await killOne(sshd, 'session', random.next());
  }),
  'kill one sftp-server': server(3, async ({ stage: { sshd }, random }) => {
    await killOne(sshd, 'sftp', random.next());
  }),
  'stop and go on': server(2, async ({ stage: { sshd, proxy, detection }, random, wait }) => {
    const { ended } = proxy;
    const paused = await pause(sshd);
    await wait(random.between(100, detection / 2));
    if (proxy.ended === ended) paused.resume();
    else await paused.kill();
  }),
  'stop and kill': server(2, async ({ stage: { sshd, detection }, random, wait }) => {
    const paused = await pause(sshd);
    await wait(random.between(500, detection + 2_000));
    await paused.kill();
  }),
  restart: server(2, async ({ stage: { sshd }, random, wait }) => {
    await shutDown(sshd);
    await wait(random.between(200, 3_000));
    await sshd.resume();
  }),
  'listener down': server(1, async ({ stage: { sshd }, random, wait }) => {
    await sshd.halt();
    await wait(random.between(200, 2_000));
    await sshd.resume();
  }),
  'full disk': {
    group: 'disk',
    weight: 2,
    async play({ stage: { disk }, random, wait }) {
      await disk?.fill();
      await wait(random.between(200, 1_500));
      await disk?.free();
    },
  },
  'replaced file': {
    group: 'file',
    weight: 3,
    async play({ stage: { watched } }) {
      await watched.replace();
    },
  },
};

/** The file of a witness, on the server's disk. */
export class WatchedFile {
  readonly #directory: string;
  readonly #seed: string;
  #version = 0;

  constructor(directory: string, seed: string) {
    this.#directory = directory;
    this.#seed = seed;
  }

  /** Puts the next version into the place of the last one, as somebody at the server does. */
  async replace(): Promise<void> {
    const version = ++this.#version;
    const bytes = stream(watchedStream(this.#seed, version), 0, watchedSize(version));
    bytes.write(watchedHeader(version), 'latin1');
    // On a full disk the version that is there stays.
    await replaceFile(join(this.#directory, WATCHED), bytes).catch(() => {});
  }
}
