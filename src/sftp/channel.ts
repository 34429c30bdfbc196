/**
 * One SFTP session over a duplex stream: the greeting, requests and their replies, and the end. A rule
 * broken by the server (malformed packet, unknown id, reply of a wrong type) ends the session, since
 * nothing after it can be trusted.
 */
import type { Duplex } from 'node:stream';
import { ascii, type ByteString, bytesOf } from '../base/bytes.js';
import { type Clock, systemClock } from '../base/clock.js';
import { logger } from '../base/log.js';
import { SSH_FXP_WRITE } from './constants.js';
import { Deadline, isLong } from './deadline.js';
import { ConnectionLostError, type LossKind, ProtocolError, SftpStatusError } from './errors.js';
import { FrameSplitter, type PacketSink } from './frames.js';
import { decodeVersion, encodeInit, judgeGreeting } from './handshake.js';
import { PendingRequests, type Waiter } from './pending.js';
import { PendingRead } from './pending-read.js';
import { decodeDataHead, decodeReply, type Reply } from './replies.js';
import { encodeRequest, type ReadRequest, type Request } from './requests.js';
import { Traffic } from './traffic.js';

const log = logger('sftp');

export type ChannelState = 'greeting' | 'open' | 'closed';

/** How much of the beginning is kept to tell text from packets. */
const GREETING_BYTES = 256;

type Extensions = ReadonlyMap<string, string>;

export interface ChannelOptions {
  /** Milliseconds after which a server that owes replies is given up (`deadline.ts`); never unless given. */
  readonly requestTimeout?: number;
  readonly clock?: Clock;
  /** Counts what passes; one for all the channels of a mount. */
  readonly traffic?: Traffic;
}

export class SftpChannel {
  readonly #stream: Duplex;
  readonly #splitter = new FrameSplitter((packet) => this.#take(packet), {
    divert: (head, rest) => this.#divert(head, rest),
  });
  readonly #pending = new PendingRequests();
  readonly #deadline: Deadline | null;
  readonly #traffic: Traffic;
  readonly #clock: Clock;
  readonly #listeners: ((error: ConnectionLostError) => void)[] = [];
  #state: ChannelState = 'greeting';
  #lost: ConnectionLostError | null = null;
  /** What came before the VERSION packet, until it is clear that it is packets. */
  #start = ascii('');
  /** When bytes came last, or the first request after a pause went out. */
  #heardAt = 0;
  #greeted: ((extensions: Extensions) => void) | null = null;

  constructor(stream: Duplex, { requestTimeout, clock = systemClock, traffic }: ChannelOptions = {}) {
    this.#stream = stream;
    this.#traffic = traffic ?? new Traffic(clock);
    this.#clock = clock;
    const expired = (reason: string) => {
      this.#lose(reason, 'unanswered');
      stream.destroy();
    };
    this.#deadline =
      requestTimeout === undefined ? null : new Deadline(this.#pending, requestTimeout, clock, expired);
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('error', (error: Error) => {
      this.#takeRest();
      this.#lose(`the connection failed: ${error.message}`, 'ended', error);
    });
    stream.on('end', () => {
      this.#ended();
      // A stream that stays open in our direction would never close by itself.
      stream.destroy();
    });
    stream.on('close', () => this.#ended());
    // A channel may have ended before it was handed over; it emits nothing any more.
    if (!stream.destroyed && stream.readable) return;
    this.#takeRest();
    this.#ended();
  }

  get state(): ChannelState {
    return this.#state;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  /** For how many milliseconds nothing came while requests were in flight; 0 while none is. */
  get silence(): number {
    return this.#pending.size === 0 ? 0 : this.#clock.monotonic() - this.#heardAt;
  }

  /** Why the session is closed; null while it is not. */
  get lost(): ConnectionLostError | null {
    return this.#lost;
  }

  /** Sends INIT; answers the server's extensions. Called once, before any request. */
  greet(): Promise<Extensions> {
    return new Promise((resolve, reject) => {
      this.#greeted = resolve;
      this.onClose(reject);
      if (this.#lost === null) this.#stream.write(encodeInit());
    });
  }

  /** Writes `request` before it returns; settles with what `decode` makes of the reply, or throws. */
  request<T>(request: Request, decode: (reply: Reply) => T): Promise<T> {
    if (this.#lost !== null) return Promise.reject(this.#lost);
    return new Promise<T>((resolve, reject) => {
      this.#send(request, {
        settle: (reply) => resolve(decode(reply)),
        fail: reject,
        isLong: isLong(request),
      });
    });
  }

  /** As `request`; the reply's data goes into `targets`. Settles with the number of bytes, 0 for EOF. */
  read(request: ReadRequest, targets: readonly Uint8Array[]): Promise<number> {
    if (this.#lost !== null) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => this.#send(request, new PendingRead(targets, resolve, reject)));
  }

  onClose(listener: (error: ConnectionLostError) => void): void {
    if (this.#lost !== null) listener(this.#lost);
    else this.#listeners.push(listener);
  }

  /** What was asked and has not left this machine is withdrawn: it may be asked again elsewhere. */
  end(): void {
    const isOwed = this.#pending.size > 0;
    this.#lose('the connection was closed');
    if (isOwed) this.#stream.destroy();
    else this.#stream.end();
  }

  #send(request: Request, waiter: Waiter): void {
    const id = this.#pending.claimId();
    const packet = encodeRequest(id, request);
    const isAlone = this.#pending.size === 0;
    this.#pending.add(id, { waiter, sent: this.#traffic.asked(request, isAlone) });
    if (isAlone) this.#heard();
    if (request.type !== SSH_FXP_WRITE) {
      this.#traffic.sent(packet.length);
      this.#stream.write(packet);
      return;
    }
    this.#traffic.sent(packet.length + request.data.length);
    this.#stream.cork();
    this.#stream.write(packet);
    this.#stream.write(request.data);
    this.#stream.uncork();
  }

  /** Nothing keeps a view of `chunk` when this returns, so whoever reads the socket may use its memory again. */
  #receive(chunk: Buffer): void {
    if (this.#state === 'closed') return;
    this.#heard();
    this.#traffic.received(chunk.length);
    try {
      if (this.#state === 'greeting' && !this.#isPackets(chunk)) return;
      this.#splitter.push(chunk);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#lose(`the server broke the protocol: ${reason}`, 'protocol', error);
      this.#stream.destroy();
    }
  }

  /** What was read by a stream that has failed since may be the text that says why. */
  #takeRest(): void {
    if (this.#state !== 'greeting') return;
    // Whether reading tells these, too, depends on how it failed.
    this.#stream.removeAllListeners('data');
    const rest: unknown = this.#stream.read();
    if (Buffer.isBuffer(rest)) this.#receive(rest);
    if (this.#start !== '') this.#ended();
  }

  /** False while the stream holds text; a whole line of it ends the session. */
  #isPackets(chunk: Buffer): boolean {
    this.#start = (this.#start + bytesOf(chunk.subarray(0, GREETING_BYTES))).slice(
      0,
      GREETING_BYTES,
    ) as ByteString;
    const greeting = judgeGreeting(this.#start, false);
    if (greeting.kind === 'banner') this.#loseToBanner(greeting.line);
    return greeting.kind === 'packets';
  }

  /** Sends the data of a DATA packet to where its READ wants it. */
  #divert(head: Buffer, rest: number): PacketSink | null {
    if (this.#state !== 'open') return null;
    const data = decodeDataHead(head, rest);
    if (data === null) return null;
    const waiter = this.#pending.get(data.id);
    // Data that no READ waits for takes the way of every reply, to be refused there.
    if (!(waiter instanceof PendingRead)) return null;
    waiter.expect(data.length);
    return {
      write: (piece) => waiter.write(piece),
      end: () => {
        const answered = this.#pending.take(data.id);
        if (answered !== undefined) this.#traffic.answered(answered.sent);
        waiter.end();
      },
    };
  }

  #take(packet: Buffer): void {
    if (this.#state === 'greeting') {
      const extensions = decodeVersion(packet);
      this.#setState('open');
      this.#greeted?.(extensions);
      return;
    }
    const { id, reply } = decodeReply(packet);
    const request = this.#pending.take(id);
    if (request === undefined) throw new ProtocolError(`a reply to request ${id}, which is not in flight`);
    const { waiter, sent } = request;
    this.#traffic.answered(sent);
    try {
      waiter.settle(reply);
    } catch (error) {
      if (!(error instanceof SftpStatusError)) {
        this.#pending.add(id, request);
        throw error;
      }
      waiter.fail(error);
    }
  }

  #heard(): void {
    this.#heardAt = this.#clock.monotonic();
    this.#deadline?.heard();
  }

  #ended(): void {
    if (this.#state !== 'greeting') {
      this.#lose('the connection ended');
      return;
    }
    const greeting = judgeGreeting(this.#start, true);
    if (greeting.kind === 'banner') this.#loseToBanner(greeting.line);
    else this.#lose('the server closed the channel before it answered; is its SFTP subsystem installed?');
  }

  #loseToBanner(line: string): void {
    this.#lose(
      `the server's shell prints text at login, where SFTP packets must be: "${line}". ` +
        'Make its start-up files print nothing in sessions without a terminal.',
      'ended',
      new ProtocolError('text where packets must be'),
    );
    this.#stream.destroy();
  }

  #lose(message: string, kind: LossKind = 'ended', cause?: unknown): void {
    if (this.#state === 'closed') return;
    this.#setState('closed');
    this.#deadline?.stop();
    const error = new ConnectionLostError(message, { kind, cause });
    this.#lost = error;
    log('%s, %d requests in flight', message, this.#pending.size);
    this.#pending.failAll(error);
    for (const listener of this.#listeners.splice(0)) listener(error);
  }

  #setState(state: ChannelState): void {
    log('channel %s -> %s', this.#state, state);
    this.#state = state;
  }
}
