/** How the program on the server is kept: when it is started and asked, what it watches, and what ends it. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import type { Path } from '../../../src/base/path.js';
import { Watcher, type WatcherSettings } from '../../../src/watch/watcher.js';
import { duplexPair } from '../../support/duplex.js';
import { FakeClock } from '../../support/fake-connection.js';

const GREETING = 'remora-watch 1 python3\n';
const EXT4 = 'ef53';

/** The program, played by the test. */
class Program {
  readonly heard: string[] = [];
  readonly #stream;
  isOver = false;

  constructor(stream: ReturnType<typeof duplexPair>[1], greeting: string) {
    this.#stream = stream;
    stream.on('data', (data: Buffer) => {
      this.heard.push(...`${data}`.split('\n').filter(Boolean));
    });
    stream.on('end', () => {
      this.isOver = true;
      stream.end();
    });
    stream.on('close', () => {
      this.isOver = true;
    });
    this.say(greeting);
  }

  say(text: string): void {
    this.#stream.write(text);
  }

  die(): void {
    this.#stream.end();
  }

  /** Confirms, or refuses, what it was told to watch, and answers. */
  async answer(how: (path: string) => string = () => `= ${EXT4} 0`): Promise<void> {
    await settled();
    for (const line of this.heard.splice(0)) {
      const [, word, id, path = ''] = /^(.)(\d+) ?(.*)$/.exec(line) ?? [];
      const [sign = '', ...rest] = how(path).split(' ');
      if (word === '+') this.say(`${sign}${id} ${rest.join(' ')}\n`);
      if (word === '?') this.say(`.${id}\n`);
    }
    await settled();
  }
}

const settled = async () => {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

let clock: FakeClock;
let recent: string[];
let told: string[];
let programs: Program[];
let greeting: string;
let refusal: Error | null;
let isConnected: boolean;
let uses: number;
let watcher: Watcher;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
  clock = new FakeClock();
  [recent, told, programs, greeting, refusal, isConnected, uses] = [[], [], [], GREETING, null, true, 0];
  const watched: WatcherSettings['watched'] = {
    recent: () => recent.map(ascii),
    get uses() {
      return uses;
    },
    watched: (path: Path) => told.push(`watched ${path}`) > 0,
    unwatched: (path) => told.push(`unwatched ${path}`),
    lost: () => told.push('lost'),
    proved: (at) => told.push(`proved ${at}`),
    changed: ({ directory, name }) => told.push(`changed ${directory}/${name}`),
  };
  watcher = new Watcher({
    clock,
    watched,
    root: ascii('/srv'),
    most: 3,
    lifetime: 20_000,
    open: async () => {
      if (refusal !== null) throw refusal;
      const [ours, theirs] = duplexPair();
      programs.push(new Program(theirs, greeting));
      return ours;
    },
    isConnected: () => isConnected,
    impossible: (reason) => told.push(`impossible: ${reason}`),
    isFinal: (error) => error instanceof RangeError,
  });
});
afterEach(() => {
  watcher.close();
  vi.useRealTimers();
});

async function pass(milliseconds: number): Promise<void> {
  for (let left = milliseconds; left > 0; left -= 500) {
    clock.advance(Math.min(left, 500));
    vi.advanceTimersByTime(Math.min(left, 500));
    await settled();
  }
}

async function use(...directories: string[]): Promise<void> {
  recent = directories;
  uses += 1;
  watcher.hurry();
  await pass(100);
}

const current = (): Program => programs.at(-1) ?? expect.fail('no program');

describe('the program', () => {
  it('is started when something was listed, and not before', async () => {
    await pass(5000);
    expect(programs).toEqual([]);
    expect(watcher.status()).toMatchObject({ state: 'waiting', reason: 'nothing has been listed yet' });
    await use('');
    expect(programs).toHaveLength(1);
    expect(watcher.status()).toMatchObject({ state: 'watching', program: 'python3', reason: null });
  });

  it('is told what is used, and vouches when it has confirmed and answered', async () => {
    await use('a/b');
    expect(current().heard).toEqual(['+1 /srv', '+2 /srv/a', '+3 /srv/a/b', '?4']);
    const asked = clock.monotonic();
    clock.advance(200);
    await current().answer();
    // The question counts, not when the answer came.
    expect(told).toEqual(['watched ', 'watched a', 'watched a/b', `proved ${asked}`]);
    expect(watcher.status()).toMatchObject({ directories: 3 });
    await use('c', 'a/b');
    expect(current().heard).toEqual(['-2', '-3', '+5 /srv/c', '?6']);
    expect(told.slice(4)).toEqual(['unwatched a', 'unwatched a/b']);
  });

  it('is asked every few seconds, and given up when it does not answer', async () => {
    await use('');
    await current().answer();
    await pass(5500);
    expect(current().heard).toEqual(['?3']);
    await current().answer();
    expect(told.filter((each) => each.startsWith('proved'))).toHaveLength(2);
    const silent = current();
    await pass(21_000);
    expect(silent.isOver).toBe(true);
    expect(told).toContain('lost');
  });

  it('is started again when it was lost, ever later, and at once by another connection', async () => {
    await use('');
    for (const wait of [1000, 2000, 4000]) {
      const count = programs.length;
      current().die();
      await settled();
      expect(watcher.status()).toMatchObject({ state: 'waiting', reason: 'lost: it ended', directories: 0 });
      await pass(wait - 500);
      expect(programs).toHaveLength(count);
      await pass(2000);
      expect(programs).toHaveLength(count + 1);
    }
    current().die();
    await settled();
    watcher.reconnected();
    await pass(100);
    expect(watcher.status()).toMatchObject({ state: 'watching', reason: null });
  });

  it('is not started while there is no connection', async () => {
    isConnected = false;
    await use('');
    await pass(5000);
    expect(programs).toEqual([]);
  });

  it('is ended with the mount', async () => {
    await use('');
    const program = current();
    watcher.close();
    await settled();
    expect(program.isOver).toBe(true);
    expect(watcher.status()).toMatchObject({ state: 'closed' });
  });
});

describe('where there is none', () => {
  it.each([
    ['remora-watch 1 nothing\n', 'the server has neither python3 nor inotifywait'],
    ['remora-watch 1 nothing 24\n', 'the server is out of inotify instances'],
    ['x'.repeat(70_000), 'the server runs no commands for this login (it says too much)'],
  ])('a greeting of %.20s is not tried again', async (text, reason) => {
    greeting = `Welcome!\n${text}`;
    await use('');
    expect(watcher.status()).toMatchObject({ state: 'impossible', reason });
    await pass(600_000);
    expect(programs).toHaveLength(1);
  });

  it('silence ends after a while', async () => {
    greeting = 'Welcome!\n';
    await use('');
    await pass(16_000);
    expect(watcher.status()).toMatchObject({
      state: 'impossible',
      reason: 'the server runs no commands for this login (no greeting)',
    });
    expect(current().isOver).toBe(true);
  });

  it('a refusal is final, until there is another connection; a loss is not', async () => {
    refusal = new RangeError('no commands');
    await use('');
    expect(watcher.status()).toMatchObject({ state: 'impossible', reason: 'no commands' });
    expect(told).toContain('impossible: no commands');
    refusal = null;
    await pass(10_000);
    expect(programs).toEqual([]);
    watcher.reconnected();
    await pass(100);
    expect(watcher.status()).toMatchObject({ state: 'watching' });
  });
});

describe('what it cannot watch', () => {
  it('is left out, with all below it, and said where it matters', async () => {
    await use('a/b');
    await current().answer((path) => (path === '/srv/a' ? '! 28' : `= ${EXT4} 0`));
    expect(told).toEqual(expect.arrayContaining(['watched ', 'unwatched a']));
    expect(watcher.status()).toMatchObject({
      state: 'watching',
      directories: 1,
      reason: 'not all directories: the inotify watches of the server are used up',
    });
    await use('a/b', 'c');
    expect(current().heard.filter((line) => line.startsWith('+'))).toEqual(['+5 /srv/c']);
  });

  it('ends the watch if it is the root on a filesystem of a network', async () => {
    await use('a');
    await current().answer(() => '= 6969 0');
    expect(watcher.status()).toMatchObject({
      state: 'impossible',
      reason: 'the filesystem there does not tell of what other machines do',
    });
  });

  it('is watched anew when events were lost', async () => {
    await use('');
    await current().answer();
    current().say('~\n');
    await settled();
    expect(told.at(-1)).toBe('lost');
    expect(watcher.status()).toMatchObject({ directories: 0 });
    await pass(1000);
    await current().answer();
    expect(watcher.status()).toMatchObject({ directories: 1 });
  });
});

describe('what it says', () => {
  it('reaches the filesystem by the directory that it was said of', async () => {
    await use('a');
    await current().answer();
    current().say('*2 2 - f\n*1 2 - g\n*77 2 - h\n');
    await settled();
    expect(told.slice(-2)).toEqual(['changed a/f', 'changed /g']);
  });

  it('ends it if it is nonsense', async () => {
    await use('');
    current().say('what?\n');
    await settled();
    expect(watcher.status()).toMatchObject({ state: 'waiting', reason: 'lost: it says what it should not' });
  });
});
