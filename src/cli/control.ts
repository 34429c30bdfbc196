/**
 * The control socket of a mount: one line of JSON asks, one line of JSON answers. The directory is private
 * to the user, so whoever can connect may command; lines are bounded and malformed ones answered with an
 * error, because a mount must not fall to a curious `nc`.
 */

import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Unsent } from '../fs/open-file.js';

/** Longest line in bytes: requests are short, answers hold statistics or a list of unsent files. */
const REQUEST_MAX = 4096;
const REPLY_MAX = 4 * 1024 * 1024;

export type ControlRequest =
  | { readonly op: 'status' }
  /** Sends everything written to the server. */
  | { readonly op: 'flush' }
  /** Ends the mount; with `force` without waiting for the server or for programs that hold files. */
  | { readonly op: 'stop'; readonly force: boolean };

export interface MountStatus {
  readonly source: string;
  readonly mountpoint: string;
  readonly state: string;
  readonly pid: number;
  /** When the mount became usable, in milliseconds since the epoch. */
  readonly since: number;
  /** How it was mounted: `mount` or `fusermount3`. */
  readonly driver: string;
  readonly server: string;
  /** SSH connections, and SFTP channels for data on them. */
  readonly connections: number;
  readonly lanes: number;
  /** Gauges of the filesystem and of the kernel driver, as plain JSON. */
  readonly filesystem: unknown;
  readonly kernel: unknown;
}

export interface ControlHandler {
  status(): MountStatus;
  flush(): Promise<readonly Unsent[]>;
  stop(force: boolean): void;
}

type Reply<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

/** The request on one line, or null when it is none of ours. */
export function parseRequest(line: string): ControlRequest | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('op' in value)) return null;
  switch (value.op) {
    case 'status':
    case 'flush':
      return { op: value.op };
    case 'stop':
      return { op: 'stop', force: 'force' in value && value.force === true };
    default:
      return null;
  }
}

async function answer(handler: ControlHandler, line: string): Promise<Reply<unknown>> {
  const request = parseRequest(line);
  if (request === null) return { ok: false, error: 'unknown request' };
  try {
    switch (request.op) {
      case 'status':
        return { ok: true, value: handler.status() };
      case 'flush':
        return { ok: true, value: await handler.flush() };
      case 'stop':
        handler.stop(request.force);
        return { ok: true, value: null };
    }
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Calls `line` for each complete line; a line longer than `max` bytes ends the connection. */
function onLines(socket: Socket, max: number, line: (text: string) => void): void {
  let pending: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    for (let end = pending.indexOf(10); end >= 0; end = pending.indexOf(10)) {
      const text = pending.toString('utf8', 0, end);
      pending = pending.subarray(end + 1);
      line(text);
    }
    if (pending.length > max) socket.destroy();
  });
}

export class ControlServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens on `path`, which must not exist; the socket is removed again by `close`. */
  static async listen(path: string, handler: ControlHandler): Promise<ControlServer> {
    const server = createServer();
    const control = new ControlServer(server);
    server.on('connection', (socket) => control.#serve(socket, handler));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    server.on('error', () => {});
    return control;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroySoon();
    await closed;
  }

  #serve(socket: Socket, handler: ControlHandler): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    onLines(socket, REQUEST_MAX, async (line) => {
      const reply = await answer(handler, line);
      if (socket.writable) socket.write(`${JSON.stringify(reply)}\n`);
    });
  }
}

/** Why a daemon gave no answer. `dead`: nobody listens on its socket any more. */
export class ControlError extends Error {
  readonly kind: 'dead' | 'silent' | 'refused';

  constructor(kind: 'dead' | 'silent' | 'refused', message: string) {
    super(message);
    this.name = 'ControlError';
    this.kind = kind;
  }
}

interface ControlAnswers {
  status: MountStatus;
  flush: readonly Unsent[];
  stop: null;
}

/** Asks the daemon behind the socket `path`; the whole exchange takes at most `timeout` milliseconds. */
export function askControl<Op extends ControlRequest['op']>(
  path: string,
  request: Extract<ControlRequest, { op: Op }>,
  timeout: number,
): Promise<ControlAnswers[Op]> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const fail = (kind: ControlError['kind'], message: string): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new ControlError(kind, message));
    };
    const timer = setTimeout(() => fail('silent', 'the serving process does not answer'), timeout);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const dead = error.code === 'ECONNREFUSED' || error.code === 'ENOENT';
      fail(dead ? 'dead' : 'silent', error.message);
    });
    socket.on('close', () => fail('silent', 'the serving process hung up'));
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    onLines(socket, REPLY_MAX, (line) => {
      let reply: Reply<ControlAnswers[Op]>;
      try {
        reply = JSON.parse(line) as Reply<ControlAnswers[Op]>;
      } catch {
        return fail('silent', 'the answer is not JSON');
      }
      if (!reply.ok) return fail('refused', reply.error);
      clearTimeout(timer);
      socket.destroy();
      resolve(reply.value);
    });
  });
}
