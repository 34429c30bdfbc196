/**
 * What the command and the serving process tell each other over the IPC channel of child_process. The job
 * travels as the first message, because a password in an argument list or an environment could be read by
 * others; questions travel back to the side that has the terminal.
 */
import type { Autossh } from '../config/autossh.js';
import type { MountOptions } from '../config/parse.js';
import type { RemoteTarget } from '../config/target.js';
import type { LinkStatus } from '../recovery/session.js';
import type { ConnectSettings } from '../ssh/settings.js';
import type { ExitName } from './exit.js';
import type { IdTables } from './id-tables.js';

/** Everything the serving process must know. Paths are absolute: it works in `/`. */
export interface Job {
  readonly target: RemoteTarget;
  /** What was typed, for messages and the mount table. */
  readonly source: string;
  readonly mountpoint: string;
  readonly options: MountOptions;
  /** For `idmap=file`. */
  readonly tables: IdTables;
  /** How the server is reached, with the password that `password_stdin` read. */
  readonly settings: ConnectSettings;
  /** Somebody can answer questions. */
  readonly interactive: boolean;
  /** The output is the terminal's, and there is no log file. */
  readonly foreground: boolean;
  /** The mount ends with whoever started it. */
  readonly attached: boolean;
  /** What of autossh's variables counts. */
  readonly autossh: Autossh;
}

/** A question of the serving process to the person at the terminal; `hidden`: what is typed is not shown. */
export interface Question {
  readonly type: 'question';
  readonly id: number;
  readonly text: string;
  readonly hidden: boolean;
}

/** The answer to question `id`; null when the person gave up. */
export interface Answer {
  readonly type: 'answer';
  readonly id: number;
  readonly text: string | null;
}

export type ToPerson =
  | Question
  /** Something a person should know, such as a host key that was added. */
  | { readonly type: 'info'; readonly text: string };

export type ToDaemon =
  | { readonly type: 'job'; readonly job: Job }
  | Answer
  | { readonly type: 'stop'; readonly force: boolean };

export type ToCommand =
  | ToPerson
  /** What is being done, for `-v`. */
  | { readonly type: 'step'; readonly text: string }
  | { readonly type: 'ready' }
  /** For the service manager, which listens to the command rather than to its child. */
  | { readonly type: 'notify'; readonly assignment: string }
  /** A line of the log. */
  | { readonly type: 'report'; readonly text: string }
  /** The connection is in another state. */
  | { readonly type: 'link'; readonly status: LinkStatus }
  /** The end; `text` is the sentence for a person, empty after a clean one. */
  | { readonly type: 'ended'; readonly exit: ExitName; readonly text: string };
