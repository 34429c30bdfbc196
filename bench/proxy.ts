/**
 * The network between client and server: accepts connections on loopback, passes them on to a port, and holds
 * every byte back for the one-way delay of its {@link Link}. Bytes keep their order and wait side by side, not
 * one after the other. A receiver that does not read is passed on to the sender as back-pressure once the
 * buffer is full. In a run it is a process of its own (proxy-process.ts).
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Link } from './link.js';

export interface ProxyRequest {
  /** Port of loopback to pass on to. */
  readonly target: number;
  /** Milliseconds, each way. */
  readonly delay: number;
  /** Megabits per second in each direction; null is unlimited. */
  readonly bandwidth: number | null;
}

const HOST = '127.0.0.1';
/** Bytes that enter a link of limited bandwidth at once. */
const PACKET = 8 * 1024;
/** Timers tick in whole milliseconds; what is due within half of one goes now. */
const TICK = 0.5;

interface Waiting {
  readonly due: number;
  /** Null is the end of the stream. */
  readonly bytes: Buffer | null;
}

/** One direction of one connection. */
class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #link: Link;
  #queue: Waiting[] = [];
  #head = 0;
  #queued = 0;
  #timer: NodeJS.Timeout | null = null;
  #blocked = false;

  constructor(from: Socket, to: Socket, link: Link) {
    this.#from = from;
    this.#to = to;
    this.#link = link;
    from.on('data', (bytes: Buffer) => this.#accept(bytes));
    from.on('end', () => this.#push(null));
    to.on('drain', () => {
      this.#blocked = false;
      this.#deliver();
    });
    to.on('close', () => {
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#queue = [];
      this.#head = 0;
    });
  }

  #accept(bytes: Buffer): void {
    if (this.#link.limited) {
      for (let at = 0; at < bytes.length; at += PACKET) this.#push(bytes.subarray(at, at + PACKET));
    } else {
      this.#push(bytes);
    }
    if (this.#queued > this.#link.buffer) this.#from.pause();
  }

  #push(bytes: Buffer | null): void {
    const size = bytes?.length ?? 0;
    this.#queued += size;
    this.#queue.push({ due: this.#link.arrival(size, performance.now()), bytes });
    if (this.#timer === null && !this.#blocked) this.#deliver();
  }

  /** Hands on what is due, and sets the timer for what is not. */
  #deliver(): void {
    this.#timer = null;
    while (!this.#blocked) {
      const next = this.#queue[this.#head];
      if (next === undefined) {
        this.#queue = [];
        this.#head = 0;
        break;
      }
      const rest = next.due - performance.now();
      if (rest > TICK) {
        this.#timer = setTimeout(() => this.#deliver(), Math.max(1, Math.floor(rest)));
        break;
      }
      this.#head++;
      if (next.bytes === null) {
        this.#to.end();
      } else {
        this.#queued -= next.bytes.length;
        this.#blocked = !this.#to.write(next.bytes);
      }
    }
    if (this.#from.isPaused() && this.#queued <= this.#link.buffer / 2) this.#from.resume();
  }
}

/** Starts to listen; answers the server and its port. */
export function startProxy(
  request: ProxyRequest,
): Promise<{ readonly server: Server; readonly port: number }> {
  const up = new Link(request.delay, request.bandwidth);
  const down = new Link(request.delay, request.bandwidth);
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const behind = connect({ host: HOST, port: request.target, allowHalfOpen: true, noDelay: true });
    new Lane(client, behind, up);
    new Lane(behind, client, down);
    for (const [one, other] of [
      [client, behind],
      [behind, client],
    ] as const) {
      // A reset is passed on at once; an ordinary end travels with the delay, behind the last bytes.
      one.on('error', () => other.resetAndDestroy());
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, HOST, () => {
      const address = server.address();
      if (address !== null && typeof address === 'object') resolve({ server, port: address.port });
    });
  });
}
