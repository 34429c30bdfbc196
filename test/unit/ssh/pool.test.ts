import { describe, expect, test } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import type { Connection } from '../../../src/ssh/connection.js';
import { ConnectError, type ConnectErrorKind } from '../../../src/ssh/errors.js';
import { ConnectionPool, shares } from '../../../src/ssh/pool.js';
import { FakeClock, FakeConnection, settle } from '../../support/fake-connection.js';

/** A pool whose logins the test answers, in order, as they come. */
class Fixture {
  readonly clock = new FakeClock();
  readonly reports: string[] = [];
  readonly logins: {
    readonly signal: AbortSignal;
    readonly succeed: () => Promise<FakeConnection>;
    readonly fail: (kind: ConnectErrorKind) => Promise<void>;
  }[] = [];
  readonly first: FakeConnection;
  readonly pool: ConnectionPool;
  changes = 0;

  constructor(maxConns: number, repeatable = true, maxChannels = Number.POSITIVE_INFINITY) {
    this.first = new FakeConnection(repeatable ? (signal) => this.#logIn(signal) : null, maxChannels);
    this.pool = new ConnectionPool(this.first, {
      maxConns,
      channels: 4,
      clock: this.clock,
      report: (text) => void this.reports.push(text),
      changed: () => this.changes++,
    });
  }

  /** Channels by carrier; 'first' is the connection of the talk. */
  get carriers(): readonly (readonly [string, number])[] {
    return this.pool.carriers.map(({ connection, share }) => [
      connection === this.first ? 'first' : 'data',
      share,
    ]);
  }

  async succeed(login = this.logins.length - 1): Promise<FakeConnection> {
    const { succeed } = this.logins[login] ?? {};
    if (succeed === undefined) throw new Error(`no login number ${login}`);
    return succeed();
  }

  async fail(kind: ConnectErrorKind): Promise<void> {
    await this.logins.at(-1)?.fail(kind);
  }

  #logIn(signal: AbortSignal): Promise<Connection> {
    const { promise, resolve, reject } = deferred<Connection>();
    this.logins.push({
      signal,
      succeed: async () => {
        const connection = new FakeConnection(null, this.first.maxChannels);
        resolve(connection);
        await settle();
        return connection;
      },
      fail: async (kind) => {
        reject(new ConnectError(kind, `failed: ${kind}`));
        await settle();
      },
    });
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    return promise;
  }
}

test.each([
  [4, 1, [4]],
  [4, 2, [2, 2]],
  [4, 3, [2, 1, 1]],
  [4, 4, [1, 1, 1, 1]],
  [4, 6, [1, 1, 1, 1, 1, 1]],
])('%d channels over %d connections', (channels, connections, expected) => {
  expect(shares(channels, connections)).toEqual(expected);
});

describe('bringing connections up', () => {
  test('connections of one channel each: the first has none to spare, the others carry one', async () => {
    expect(new Fixture(2, false, 1).pool.carriers).toEqual([]);
    const { pool, logins } = new Fixture(2, true, 1);
    pool.warm();
    await logins[0]?.succeed();
    expect(pool.carriers).toMatchObject([{ share: 1 }]);
  });

  test('one ahead of any data, and it carries all', async () => {
    const { pool, logins, ...f } = new Fixture(2);
    expect(logins).toHaveLength(0);
    pool.warm();
    pool.warm();
    expect(logins).toHaveLength(1);
    expect(pool.carriers, 'better to wait for it than to load the talk').toEqual([]);
    await logins[0]?.succeed();
    expect(pool.carriers).toMatchObject([{ share: 4 }]);
    expect(pool.carriers[0]?.connection).not.toBe(f.first);
    pool.want();
    await settle();
    expect(logins).toHaveLength(1);
  });

  test('the others when there is data, one after the other', async () => {
    const f = new Fixture(4);
    f.pool.warm();
    await f.succeed();
    expect(f.logins).toHaveLength(1);
    f.pool.want();
    f.pool.want();
    expect(f.logins).toHaveLength(2);
    expect(f.carriers).toEqual([['data', 2]]);
    await f.succeed();
    expect(f.logins).toHaveLength(3);
    await f.succeed();
    expect(f.carriers).toEqual([
      ['data', 2],
      ['data', 1],
      ['data', 1],
    ]);
    expect(f.pool.size).toBe(3);
    expect(f.logins).toHaveLength(3);
  });

  test.each([
    ['max_conns=1', 1, true],
    ['a login that only a person can make', 4, false],
  ])('%s: the first connection carries the data', (_, maxConns, repeatable) => {
    const f = new Fixture(maxConns, repeatable);
    expect(f.carriers).toEqual([['first', 4]]);
    f.pool.warm();
    f.pool.want();
    expect(f.logins).toHaveLength(0);
  });
});

describe('refusals', () => {
  test.each<ConnectErrorKind>(['authentication', 'key-file', 'host-key-changed'])(
    '%s: never again',
    async (kind) => {
      const f = new Fixture(4);
      f.pool.warm();
      await f.fail(kind);
      expect(f.carriers).toEqual([['first', 4]]);
      f.clock.advance(365 * 86_400_000);
      f.pool.want();
      expect(f.logins).toHaveLength(1);
      expect(f.reports).toHaveLength(kind === 'host-key-changed' ? 1 : 0);
    },
  );

  test.each<ConnectErrorKind>(['protocol', 'refused', 'timeout', 'lost'])(
    '%s: again on demand, after a time that doubles',
    async (kind) => {
      const f = new Fixture(2);
      f.pool.warm();
      for (const wait of [30_000, 60_000, 120_000]) {
        await f.fail(kind);
        const before = f.logins.length;
        expect(f.carriers).toEqual([['first', 4]]);
        f.clock.advance(wait - 1);
        f.pool.want();
        expect(f.logins).toHaveLength(before);
        f.clock.advance(1);
        await settle();
        expect(f.logins, 'nothing happens without demand').toHaveLength(before);
        f.pool.want();
        expect(f.logins).toHaveLength(before + 1);
      }
      await f.succeed();
      expect(f.carriers).toEqual([['data', 4]]);
      expect(f.reports).toEqual([]);
    },
  );

  test('of the second one for data: the other carries all', async () => {
    const f = new Fixture(3);
    f.pool.want();
    await f.succeed();
    expect(f.carriers).toEqual([['data', 2]]);
    await f.fail('authentication');
    expect(f.carriers).toEqual([['data', 4]]);
  });

  test('a connection without channels is closed, and the next one waits', async () => {
    const f = new Fixture(2);
    f.pool.want();
    const data = await f.succeed();
    f.pool.discard(data);
    expect(data.state).toBe('closed');
    expect(f.carriers).toEqual([['first', 4]]);
    f.pool.want();
    expect(f.logins).toHaveLength(1);
    f.clock.advance(30_000);
    f.pool.want();
    expect(f.logins).toHaveLength(2);
  });
});

describe('silence', () => {
  test('of one connection for data counts until it is heard again, or has ended', async () => {
    const f = new Fixture(2);
    f.pool.warm();
    const connection = await f.succeed();
    expect(f.pool.isSilent).toBe(false);
    connection.tellSilence(true);
    expect(f.pool.isSilent).toBe(true);
    connection.tellSilence(false);
    expect(f.pool.isSilent).toBe(false);
    connection.tellSilence(true);
    connection.lose(new Error('no answer'));
    expect(f.pool.isSilent).toBe(false);
  });
});

describe('losses', () => {
  test('a lost connection leaves, and comes back on demand after a while', async () => {
    const f = new Fixture(2);
    f.pool.warm();
    const data = await f.succeed();
    data.lose(new Error('cut'));
    expect(f.carriers).toEqual([['first', 4]]);
    f.pool.want();
    expect(f.logins).toHaveLength(1);
    f.clock.advance(30_000);
    f.pool.want();
    await f.succeed();
    expect(f.carriers).toEqual([['data', 4]]);
  });

  test('one that is lost soon after each login waits longer each time, one that lasted does not', async () => {
    const f = new Fixture(2);
    f.pool.warm();
    (await f.succeed()).lose(new Error('cut'));
    f.clock.advance(30_000);
    f.pool.want();
    const second = await f.succeed();
    second.lose(new Error('cut'));
    f.clock.advance(30_000);
    f.pool.want();
    expect(f.logins).toHaveLength(2);
    f.clock.advance(30_000);
    f.pool.want();
    const third = await f.succeed();
    f.clock.advance(60_000);
    third.lose(new Error('cut'));
    f.clock.advance(30_000);
    f.pool.want();
    expect(f.logins).toHaveLength(4);
  });

  test('after a loss a login that was refused for good stays refused', async () => {
    const f = new Fixture(3);
    f.pool.want();
    const data = await f.succeed();
    await f.fail('authentication');
    data.lose(new Error('cut'));
    expect(f.carriers).toEqual([['first', 4]]);
    f.clock.advance(86_400_000);
    f.pool.want();
    expect(f.logins).toHaveLength(2);
  });

  test('without the first connection there are no more logins, and no more of it for data', async () => {
    const f = new Fixture(3);
    f.pool.warm();
    await f.succeed();
    f.first.lose(new Error('cut'));
    f.pool.want();
    expect(f.logins).toHaveLength(1);
    expect(f.carriers).toEqual([['data', 4]]);
  });
});

describe('the end', () => {
  test('of demand: what is not busy is closed, and comes back', async () => {
    const f = new Fixture(3);
    f.pool.want();
    const busy = await f.succeed();
    const idle = await f.succeed();
    f.pool.rest(new Set([busy]));
    expect([busy.state, idle.state]).toEqual(['open', 'closed']);
    f.pool.rest(new Set());
    expect(f.carriers).toEqual([]);
    f.pool.warm();
    expect(f.logins).toHaveLength(3);
  });

  test('of the mount: all are closed but the first, and a login under way is given up', async () => {
    const f = new Fixture(3);
    f.pool.want();
    const data = await f.succeed();
    expect(f.logins.at(-1)?.signal.aborted).toBe(false);
    await f.pool.close();
    await settle();
    expect(f.logins.at(-1)?.signal.aborted).toBe(true);
    expect([f.first.state, data.state]).toEqual(['open', 'closed']);
    f.pool.want();
    expect(f.logins).toHaveLength(2);
    expect(f.reports).toEqual([]);
  });

  test('a login that comes through all the same is closed', async () => {
    const late = deferred<Connection>();
    const first = new FakeConnection(() => late.promise);
    const settings = { maxConns: 2, channels: 4, clock: new FakeClock(), report() {}, changed() {} };
    const pool = new ConnectionPool(first, settings);
    pool.warm();
    await pool.close();
    const connection = new FakeConnection();
    late.resolve(connection);
    await settle();
    expect(connection.state).toBe('closed');
    expect(pool.size).toBe(0);
  });
});
