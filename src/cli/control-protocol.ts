/**
 * What is said over the control socket of a mount: one line of JSON asks, one line of JSON answers. While
 * `reconnect` is under way, the questions of the server travel over the same connection to whoever asked for it,
 * and the answers back. The directory of the socket is private to the user, so whoever can connect may command.
 */
import type { Socket } from 'node:net';
import type { Unsent } from '../fs/open-file.js';
import type { LinkStatus } from '../recovery/session.js';
import type { Answer } from './ipc.js';

/** Longest line in bytes: requests are short, but for an answer typed by a person. */
export const REQUEST_MAX = 32 * 1024;
/** Replies hold statistics or a list of unsent files. */
export const REPLY_MAX = 4 * 1024 * 1024;

export type ControlRequest =
  | { readonly op: 'status' }
  /** Names what is not on the server, without waiting for it. */
  | { readonly op: 'unsent' }
  /** Sends everything written to the server. */
  | { readonly op: 'flush' }
  /** Connects again now; with `interactive` the person who asks answers the server's questions. */
  | { readonly op: 'reconnect'; readonly interactive: boolean }
  /** Ends the mount; with `force` without waiting for the server or for programs that hold files. */
  | { readonly op: 'stop'; readonly force: boolean };

export interface MountStatus {
  readonly source: string;
  readonly mountpoint: string;
  readonly state: string;
  readonly pid: number;
  /** When the mount became usable, in milliseconds since the epoch. */
  readonly since: number;
  readonly link: LinkStatus;
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

/** What each request is answered with. */
export interface ControlAnswers {
  readonly status: MountStatus;
  readonly unsent: readonly Unsent[];
  readonly flush: readonly Unsent[];
  readonly reconnect: null;
  /** What could not be sent; answered when the mount has ended. */
  readonly stop: readonly Unsent[];
}

export type Reply<T> =
  | { readonly ok: true; readonly value: T }
  /** `exit` is the name of an exit code. */
  | { readonly ok: false; readonly error: string; readonly exit: string };

function parseObject(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}

/** The request on one line, or null when it is none of ours. */
export function parseRequest(line: string): ControlRequest | null {
  const value = parseObject(line);
  switch (value?.op) {
    case 'status':
    case 'unsent':
    case 'flush':
      return { op: value.op };
    case 'reconnect':
      return { op: 'reconnect', interactive: value.interactive === true };
    case 'stop':
      return { op: 'stop', force: value.force === true };
    default:
      return null;
  }
}

/** The answer to a question on one line, or null when it is something else. */
export function parseAnswer(line: string): Answer | null {
  const value = parseObject(line);
  if (value?.type !== 'answer' || typeof value.id !== 'number') return null;
  return { type: 'answer', id: value.id, text: typeof value.text === 'string' ? value.text : null };
}

/** Calls `line` for each complete line; a line longer than `max` bytes ends the connection. */
export function onLines(socket: Socket, max: number, line: (text: string) => void): void {
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
