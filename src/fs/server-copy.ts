/**
 * Copying from file to file on the server (copy-data), in pieces that keep it busy for a wanted time (cache/copy-pace.ts),
 * the next one always on its way. A copy begins on the channel of the metadata, with pieces so short that nobody waits
 * long behind them. If it turns out to be a long one, both files are opened on a channel for data, and it goes on there.
 *
 * One call of the kernel is one turn: it ends when the server has worked for a while, and the program asks for the rest.
 * A piece whose answer was lost with its connection is copied again: the same bytes to the same place.
 */
import type { Clock } from '../base/clock.js';
import { logger } from '../base/log.js';
import { CopyPace } from '../cache/copy-pace.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { Way } from './lanes.js';
import type { OpenFile } from './open-file.js';
import { adoptBehind, type Parts } from './parts.js';

const log = logger('copy');

/** Milliseconds of the server's work for one piece: where talk waits behind it, and where only other data does. */
const PIECE_TIME = { home: 50, further: 500 } as const;
/** Milliseconds of the server's work for one turn: on the way that is found at once, and on a way of its own. */
const TURN_TIME = { home: 250, further: 2000 } as const;
/** Pieces under way: the server begins with the next one while the answer to the last one travels. */
const DEPTH = 2;
/** What a piece counts on its lane, in bytes: other data prefers another one, and is not kept out. */
const LOAD = 1024 * 1024;

/** From where to where; offsets and length in bytes. */
export interface CopyJob {
  readonly source: OpenFile;
  readonly from: number;
  readonly target: OpenFile;
  readonly to: number;
  readonly length: number;
}

interface Turn {
  /** Bytes that are there, from the beginning without a gap. */
  readonly copied: number;
  /** Where the last piece that was sent ends, in bytes behind the beginning. */
  readonly sent: number;
  /** Why a piece failed; null if none did. */
  readonly failure: { readonly reason: unknown } | null;
  /** The target behind the last piece, if the server said so. */
  readonly after: SftpAttributes | null;
}

interface Piece {
  readonly length: number;
  /** The copy, and what source and target are behind it. */
  readonly answers: Promise<
    [PromiseSettledResult<void>, PromiseSettledResult<SftpAttributes>, PromiseSettledResult<SftpAttributes>]
  >;
}

export class ServerCopy {
  readonly #parts: Parts;
  readonly #clock: Clock;
  readonly #pace = new CopyPace();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#clock = parts.clock;
  }

  /**
   * Copies some of the range, all of which the source should have; both files have nothing unsent. Answers how many
   * bytes were copied: at least one, unless the source has become shorter on the server. Rejects with what the first
   * piece failed with.
   */
  async copy(job: CopyJob): Promise<number> {
    const { lanes } = this.#parts;
    const { source, target } = job;
    for (;;) {
      const way = lanes.together(source, target);
      const turn = await this.#changing(job, () => this.#turn(job, way));
      const { copied, failure } = turn;
      log('%d of %d bytes copied, %s', copied, job.length, way.isHome ? 'beside the talk' : 'on a lane');
      if (failure !== null && copied === 0) {
        const isLost = [lanes.isLost(source, way.first), lanes.isLost(target, way.second)].includes(true);
        if (isLost) continue;
        throw failure.reason;
      }
      // Now that the target holds something, it is told from other files.
      if (way.isHome && failure === null && copied < job.length) {
        await Promise.all([lanes.widen(source), lanes.widen(target)]);
      }
      return copied;
    }
  }

  /** Drops what is known of the target before and behind `turn`, and takes over what the server says of it then. */
  async #changing({ target, to, length }: CopyJob, turn: () => Promise<Turn>): Promise<Turn> {
    const { content, names } = this.#parts;
    const { node } = target;
    const oldSize = node.size;
    content.changed(node, to, to + length, oldSize);
    node.stamp = null;
    node.writes += 1;
    if (node.path !== null) names.outdated(node.path);
    const since = names.epochs.now();
    const seen = node.writes;
    const ended = await turn();
    const { sent, after } = ended;
    content.changed(node, to, to + length, oldSize);
    const isAlone = node.writes === seen && !node.isDirty;
    node.writes += 1;
    if (after !== null && isAlone) {
      adoptBehind(this.#parts, node, after, { since, wasDirty: true, hasChanged: true });
    } else {
      node.size = Math.max(node.size, Math.min(after?.size ?? 0, to + sent));
      target.wrote = true;
      if (node.path !== null) names.outdated(node.path);
    }
    return ended;
  }

  async #turn(job: CopyJob, way: Way): Promise<Turn> {
    const kind = way.isHome ? 'home' : 'further';
    const { first } = way;
    const { length, from, to } = job;
    // Its answer says when the server is free to begin.
    const start = first.client.fstat(first.handle).catch(() => null);
    const pieces: Piece[] = [];
    let sent = 0;
    let copied = 0;
    let worked = 0;
    const fill = () => {
      while (pieces.length < DEPTH && sent < length && worked < TURN_TIME[kind]) {
        const size = Math.min(this.#pace.piece(PIECE_TIME[kind]), length - sent);
        pieces.push(this.#send(job, way, sent, size));
        sent += size;
      }
    };
    fill();
    await start;
    let before = this.#clock.monotonic();
    let failure: Turn['failure'] = null;
    let after: SftpAttributes | null = null;
    let isWhole = true;
    for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
      const [change, there, here] = await piece.answers;
      after = here.status === 'fulfilled' ? here.value : null;
      if (change.status === 'rejected') failure ??= { reason: change.reason };
      if (failure !== null || !isWhole) continue;
      const now = this.#clock.monotonic();
      this.#pace.took(piece.length, now - before);
      worked += now - before;
      before = now;
      // A source that shrank on the server ends the copy early, and the server does not say where.
      const ends = [sizeOf(there) - from, sizeOf(here) - to, copied + piece.length];
      const end = Math.max(copied, Math.min(...ends));
      isWhole = end === copied + piece.length;
      copied = end;
      if (isWhole) fill();
    }
    return { copied, sent, failure, after };
  }

  #send({ from, target, to }: CopyJob, { first, second, isHome }: Way, at: number, length: number): Piece {
    const { client } = first;
    const { node } = target;
    const change = client.copyData(first.handle, from + at, length, second.handle, to + at);
    node.mayBecome(Math.max(node.size, to + at + length), change);
    const answers = Promise.allSettled([change, client.fstat(first.handle), client.fstat(second.handle)]);
    return { length, answers: isHome ? answers : this.#parts.lanes.carry(first, 'down', LOAD, answers) };
  }
}

/** Without an answer nothing speaks against what is expected. */
function sizeOf(answer: PromiseSettledResult<SftpAttributes>): number {
  return (answer.status === 'fulfilled' ? answer.value.size : undefined) ?? Number.POSITIVE_INFINITY;
}
