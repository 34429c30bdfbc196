/**
 * What the command and the serving process tell each other over the IPC channel of child_process. The job
 * travels as the first message, because a password in an argument list or an environment could be read by
 * others; questions travel back to the side that has the terminal.
 */
import type { Autossh } from '../config/autossh.js';
import type { MountOptions } from '../config/parse.js';
import type { RemoteTarget } from '../config/target.js';
import type { ConnectSettings } from '../ssh/settings.js';
import type { ExitName } from './exit.js';

/** Everything the serving process must know. Paths are absolute: it works in `/`. */
export interface Job {
  readonly target: RemoteTarget;
  /** What was typed, for messages and the mount table. */
  readonly source: string;
  readonly mountpoint: string;
  readonly options: MountOptions;
  /** How the server is reached, with the password that `password_stdin` read. */
  readonly settings: ConnectSettings;
  /** Somebody can answer questions. */
  readonly interactive: boolean;
  readonly foreground: boolean;
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
  /** The end; `text` is the sentence for a person, empty after a clean one. */
  | { readonly type: 'ended'; readonly exit: ExitName; readonly text: string };
