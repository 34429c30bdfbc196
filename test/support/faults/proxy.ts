/**
 * A network that fails on command: TCP on loopback between a client and one port. It can be slow, cut bytes
 * apart, spoil one, reset a connection after so many bytes, swallow a direction without a word, close half of a
 * connection, refuse new ones, or take them in and say nothing. Everything is switched while it runs, applies to
 * connections old and new, and is logged when it fires. Whoever uses it must not be its client in the same
 * process by synchronous calls.
 */
import { readFile } from 'node:fs/promises';
import { connect, createServer, type Server as Listener, type Socket } from 'node:net';
import { join } from 'node:path';
import { abandon } from '../../../src/ssh/dial.js';
import { until } from '../run.js';
import type { Scope } from '../scope.js';
import { type Server, writeKnownHosts } from '../server.js';
import type { Sshd } from '../sshd.js';
import { Lane } from './lane.js';
import { Link } from './link.js';

/** `up` is towards the server. */
export type Direction = 'up' | 'down';

export const DIRECTIONS: readonly Direction[] = ['up', 'down'];

/** How bytes are cut: pieces of so many bytes, or of a random number below 1000; null leaves them alone. */
export type Split = number | 'random' | null;

export interface Fired {
  /** Milliseconds of `performance.now()`. */
  readonly at: number;
  readonly what: string;
}

interface Way {
  link: Link;
  stalled: boolean;
  /** Bytes that still pass before the one that is spoilt; null spoils none. */
  corruptAfter: number | null;
  /** Bytes that still pass before the connection that carries the next one is reset; null resets none. */
  resetAfter: number | null;
}

/** One client, the connection made for it, and the two lanes between. */
interface Pair {
  readonly client: Socket;
  readonly behind: Socket;
  readonly lanes: Readonly<Record<Direction, Lane>>;
}

const HOST = '127.0.0.1';
export const RANDOM_SPLIT = 1000;
const PLAIN = () => new Link(0, null);

export class FaultProxy {
  readonly host: string = HOST;
  readonly port: number;
  /** What has happened, in order. */
  readonly log: Fired[] = [];
  readonly #target: number;
  readonly #random: () => number;
  readonly #pairs = new Set<Pair>();
  /** Clients that were taken in and are told nothing. */
  readonly #muted = new Set<Socket>();
  readonly #ways: Readonly<Record<Direction, Way>> = { up: newWay(), down: newWay() };
  #server: Listener;
  #split: Split = null;
  #mute = false;
  #ended = 0;

  private constructor(server: Listener, port: number, target: number, random: () => number) {
    this.#server = server;
    this.port = port;
    this.#target = target;
    this.#random = random;
    server.on('connection', (client) => this.#accept(client));
  }

  /** @param target port of loopback to pass on to; @param random numbers of 0 to 1 for random pieces. */
  static async start(target: number, random: () => number = Math.random): Promise<FaultProxy> {
    const server = await listening(0);
    const address = server.address();
    if (address === null || typeof address !== 'object') throw new Error('the proxy has no port');
    return new FaultProxy(server, address.port, target, random);
  }

  /** Connections that pass bytes at this moment. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Connections that have ended so far. */
  get ended(): number {
    return this.#ended;
  }

  /** Bytes of one direction that wait at this moment. */
  held(direction: Direction): number {
    return [...this.#pairs].reduce((sum, { lanes }) => sum + lanes[direction].queued, 0);
  }

  /** Every byte takes `delay` milliseconds each way; `bandwidth` is in Mbit/s each way, null without limit. */
  pace(delay: number, bandwidth: number | null = null): void {
    this.#fired(`pace ${delay} ms, ${bandwidth ?? 'unlimited'} Mbit/s`);
    for (const direction of DIRECTIONS) this.#ways[direction].link = new Link(delay, bandwidth);
  }

  split(split: Split): void {
    this.#fired(`split ${split ?? 'nothing'}`);
    this.#split = split;
  }

  /** Flips a bit in the byte after the next `after` ones, on whichever connection carries it. */
  corrupt(direction: Direction, after = 0): void {
    this.#ways[direction].corruptAfter = after;
  }

  /** Resets the connection that carries the byte after the next `after` ones. */
  resetAfter(direction: Direction, after: number): void {
    this.#ways[direction].resetAfter = after;
  }

  /** Nothing arrives any more, on connections that stay open. */
  stall(directions: readonly Direction[] = DIRECTIONS): void {
    this.#fired(`stall ${directions.join(' and ')}`);
    this.#hold(directions, true);
  }

  flow(directions: readonly Direction[] = DIRECTIONS): void {
    this.#fired(`flow ${directions.join(' and ')}`);
    this.#hold(directions, false);
  }

  /** Ends one direction of every connection; the other goes on. */
  halfClose(direction: Direction): void {
    this.#fired(`half-close ${direction}`);
    for (const pair of this.#pairs) pair.lanes[direction].end();
  }

  /** Resets every connection. */
  cut(): void {
    this.#fired('cut');
    for (const pair of [...this.#pairs]) reset(pair);
  }

  /** New connections are refused (nothing listens), or no more. */
  async refuse(refused: boolean): Promise<void> {
    if (refused !== this.#server.listening) return;
    this.#fired(refused ? 'refuse' : 'listen');
    if (refused) {
      this.#server.close();
      return;
    }
    // Somebody's outgoing connection may have the port for a moment.
    this.#server = await until('the port of the proxy', () => listening(this.port).catch(() => null));
    this.#server.on('connection', (client) => this.#accept(client));
  }

  /** New connections are taken in and never hear a word; those of that time are reset at its end. */
  mute(muted: boolean): void {
    this.#fired(muted ? 'mute' : 'speak');
    this.#mute = muted;
    if (muted) return;
    for (const client of this.#muted) client.resetAndDestroy();
  }

  /** An ordinary network again. What was lost stays lost. */
  async calm(): Promise<void> {
    this.#split = null;
    this.mute(false);
    this.pace(0);
    for (const direction of DIRECTIONS) {
      this.#ways[direction].corruptAfter = null;
      this.#ways[direction].resetAfter = null;
    }
    this.flow();
    await this.refuse(false);
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      if (this.#server.listening) this.#server.close(() => resolve());
      else resolve();
    });
    for (const client of this.#muted) client.destroy();
    for (const pair of [...this.#pairs]) reset(pair);
    await closed;
  }

  #accept(client: Socket): void {
    client.on('error', () => {});
    if (this.#mute) {
      this.#fired('a client is told nothing');
      this.#muted.add(client);
      client.on('close', () => this.#muted.delete(client));
      client.resume();
      return;
    }
    const behind = connect({ host: HOST, port: this.#target, allowHalfOpen: true, noDelay: true });
    const lane = (from: Socket, to: Socket, direction: Direction): Lane => {
      const way = this.#ways[direction];
      const treat = (bytes: Buffer) => this.#treat(bytes, direction, pair);
      const made = new Lane(from, to, { link: () => way.link, treat });
      made.hold(way.stalled);
      return made;
    };
    const lanes = { up: lane(client, behind, 'up'), down: lane(behind, client, 'down') };
    const pair: Pair = { client, behind, lanes };
    this.#pairs.add(pair);
    for (const socket of [client, behind]) {
      // A reset is passed on at once; an ordinary end travels behind the last bytes.
      socket.on('error', () => reset(pair));
      socket.on('close', () => {
        if (client.destroyed && behind.destroyed && this.#pairs.delete(pair)) this.#ended++;
      });
    }
  }

  #hold(directions: readonly Direction[], held: boolean): void {
    for (const direction of directions) {
      this.#ways[direction].stalled = held;
      for (const pair of this.#pairs) pair.lanes[direction].hold(held);
    }
  }

  /** What becomes of bytes of one connection: counted, spoilt, cut, or not let through at all. */
  #treat(bytes: Buffer, direction: Direction, pair: Pair): Iterable<Buffer> {
    const way = this.#ways[direction];
    if (way.corruptAfter !== null) {
      const spoilt = bytes[way.corruptAfter];
      if (spoilt === undefined) {
        way.corruptAfter -= bytes.length;
      } else {
        bytes[way.corruptAfter] = spoilt ^ 0x20;
        way.corruptAfter = null;
        this.#fired(`corrupt ${direction}`);
      }
    }
    if (way.resetAfter !== null) {
      if (bytes.length <= way.resetAfter) {
        way.resetAfter -= bytes.length;
      } else {
        way.resetAfter = null;
        this.#fired(`reset ${direction}`);
        reset(pair);
        return [];
      }
    }
    return this.#pieces(bytes);
  }

  *#pieces(bytes: Buffer): Iterable<Buffer> {
    for (let at = 0; at < bytes.length; ) {
      const size =
        this.#split === 'random'
          ? 1 + Math.floor(this.#random() * RANDOM_SPLIT)
          : (this.#split ?? bytes.length);
      yield bytes.subarray(at, at + size);
      at += size;
    }
  }

  #fired(what: string): void {
    this.log.push({ at: performance.now(), what });
  }
}

/** The server as it is reached through the proxy: the same login, and its host key under the proxy's address. */
export async function behindProxy(scope: Scope, sshd: Sshd, proxy: FaultProxy): Promise<Server> {
  const { host, port } = proxy;
  const publicKey = await readFile(`${sshd.hostKey}.pub`, 'utf8');
  const file = join(scope.directory, `known_hosts-${port}`);
  const knownHosts = await writeKnownHosts(file, host, port, publicKey);
  return { host, port, user: sshd.user, keyFile: sshd.keyFile, knownHosts };
}

function newWay(): Way {
  return { link: PLAIN(), stalled: false, corruptAfter: null, resetAfter: null };
}

function reset({ client, behind }: Pair): void {
  // As the product does: a socket that is told of its end at this moment would never close otherwise.
  abandon(client);
  abandon(behind);
}

function listening(port: number): Promise<Listener> {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, HOST, () => resolve(server));
  });
}
