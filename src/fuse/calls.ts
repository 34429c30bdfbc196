/**
 * The calls of programs, as they are told to people: how often each was made, how long it took from the kernel's
 * request to our reply, how often it failed, how it failed lately; and, for `-d`, one line a call.
 */
import type { ByteString } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { logger } from '../base/log.js';
import type { NodeTable } from './nodes.js';
import { opcodeName } from './protocol/constants.js';
import type { InHeader } from './protocol/requests.js';
import { CallTally, errnoName } from './tally.js';
import { describeReply, describeRequest, nameIn, pathIn, shown } from './words.js';

/** One line a call. */
const trace = logger('call');

/** A call under way. */
export interface Call {
  readonly header: InHeader;
  /** Milliseconds of the monotonic clock. */
  readonly since: number;
  /** The name it is about, in the directory of the header. */
  readonly name: ByteString | null;
  /** The request in words, when calls are traced. */
  readonly words: string | null;
}

export class Calls {
  readonly #nodes: NodeTable;
  readonly #clock: Clock;
  readonly tally = new CallTally();

  constructor(nodes: NodeTable, clock: Clock) {
    this.#nodes = nodes;
    this.#clock = clock;
  }

  /** The request is used before this returns. */
  begun(header: InHeader, request: Buffer): Call {
    return {
      header,
      since: this.#clock.monotonic(),
      name: nameIn(header.opcode, request),
      words: trace.enabled ? describeRequest(this.#nodes, request) : null,
    };
  }

  /** A request that has no reply. */
  silent(request: Buffer): void {
    if (trace.enabled) trace('%s', describeRequest(this.#nodes, request));
  }

  /** `payload` goes out as the reply. */
  answered(call: Call, payload: readonly Uint8Array[]): void {
    const { opcode } = call.header;
    const took = this.#count(call, false);
    if (call.words !== null) this.#trace(call.words, describeReply(opcode, payload), took);
  }

  /** An errno goes out. */
  failed(call: Call, error: unknown): void {
    const { opcode, nodeid } = call.header;
    const took = this.#count(call, true);
    if (call.words !== null) this.#trace(call.words, errnoName(error), took);
    this.tally.keep(opcodeName(opcode), error, this.#clock.now(), () => {
      const path = pathIn(this.#nodes, nodeid, call.name);
      return path === null ? null : shown(path);
    });
  }

  /** Answers how many milliseconds it took. */
  #count({ header, since }: Call, isError: boolean): number {
    const took = this.#clock.monotonic() - since;
    this.tally.count(opcodeName(header.opcode), took, isError);
    return took;
  }

  #trace(words: string, result: string, took: number): void {
    trace('%s -> %s %s ms', words, result, took.toFixed(1));
  }
}
