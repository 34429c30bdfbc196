/**
 * What is said over the control socket of a mount: one line of JSON asks, one line of JSON answers. While
 * `reconnect` is under way, the questions of the server travel over the same connection to whoever asked for it,
 * and the answers back. The directory of the socket is private to the user, so whoever can connect may command.
 */
import type { Socket } from 'node:net';
import type { Durations } from '../base/histogram.js';
import type { OpenHandle, Unsent } from '../fs/open-file.js';
import type { FsStatus } from '../fs/status.js';
import type { SessionStats } from '../fuse/session.js';
import type { CallStats, Failure } from '../fuse/tally.js';
import type { LinkStatus } from '../recovery/session.js';
import type { TrafficStatus } from '../sftp/traffic.js';
import type { Answer } from './ipc.js';
import type { WatchStatus } from './live.js';

/** Longest line in bytes: requests are short, but for an answer typed by a person. */
export const REQUEST_MAX = 32 * 1024;
/** Replies hold statistics or a list of unsent files. */
export const REPLY_MAX = 4 * 1024 * 1024;

export type ControlRequest =
  | { readonly op: 'status' }
  /** Tells all that can be told without asking the server. */
  | { readonly op: 'inspect' }
  /** Names what is not on the server, without waiting for it. */
  | { readonly op: 'unsent' }
  /** Forgets what is cached at and below `path`, relative to the mount, in text. */
  | { readonly op: 'refresh'; readonly path: string }
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
  /** `direct` or `libfuse`. */
  readonly driver: string;
  readonly server: string;
  /** SSH connections, and SFTP channels for data on them. */
  readonly connections: number;
  readonly lanes: number;
  /** How changes of others on the server are heard of; null as long as `filesystem` is. */
  readonly watch: WatchStatus | null;
  /** The file that the log goes to; null for standard error. */
  readonly log: string | null;
  /** Gauges of the filesystem; null until the first use of a mount that is connected then. */
  readonly filesystem: FsStatus | null;
  /** Gauges of the kernel driver. */
  readonly kernel: SessionStats;
}

/** Lists of a mount are cut at this many. */
export const LIST_MAX = 1000;

/** What `status` has, and what takes longer to tell and to read. */
export interface MountDetails extends MountStatus {
  /** Null as long as `filesystem` is. */
  readonly traffic: TrafficStatus | null;
  /** `LIST_MAX` at most, as of the handles. */
  readonly unsent: readonly Unsent[];
  readonly handles: readonly OpenHandle[];
  /** Calls of programs, and requests to the server, by their names. */
  readonly calls: Readonly<Record<string, CallStats>>;
  readonly requests: Readonly<Record<string, Durations>>;
  /** The last ones, oldest first. */
  readonly failures: readonly Failure[];
}

/** What each request is answered with. */
export interface ControlAnswers {
  readonly status: MountStatus;
  readonly inspect: MountDetails;
  readonly unsent: readonly Unsent[];
  readonly flush: readonly Unsent[];
  readonly refresh: null;
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
    case 'inspect':
    case 'unsent':
    case 'flush':
      return { op: value.op };
    case 'refresh':
      return typeof value.path === 'string' ? { op: 'refresh', path: value.path } : null;
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
