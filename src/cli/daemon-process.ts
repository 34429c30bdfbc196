/**
 * The serving process as seen by whoever starts it, the command or a program: told its job over IPC, its questions
 * answered here. It has a session of its own, so that Ctrl-C at the terminal reaches only the command, which passes it on
 * as a request to stop; where there is no terminal it takes one only when it has mounted, because where autofs mounts,
 * systemd's too, the group that was asked to mount is the only one that may enter. It ends when this side disappears before
 * the mount is ready.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deferred } from '../base/deferred.js';
import { printable } from '../base/printable.js';
import { type Asker, answerBy } from './asker.js';
import { ensurePrivateDirectory, logFile } from './directories.js';
import type { ExitName } from './exit.js';
import type { Answer, Job, Question, ToCommand, ToDaemon } from './ipc.js';
import { isJournal } from './journal.js';
import { notify } from './system/notify.js';
import { hasTerminal } from './terminal.js';

/** Threads of libuv's pool: files, DNS, and notifications to the kernel, each of which may hold one for long. */
const THREAD_POOL_SIZE = '16';
/**
 * A small young generation, in MiB: buffers that live for one packet are then freed by its cheap collections,
 * which run often, before their size calls for an expensive one.
 */
const NODE_OPTIONS = ['--max-semi-space-size=1'];

export interface Ending {
  readonly exit: ExitName;
  /** The sentence for a person; empty after a clean end. */
  readonly text: string;
}

export interface StartOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly uid: number;
  readonly debug: boolean;
}

export interface DaemonOptions extends StartOptions {
  readonly verbose: boolean;
  readonly asker: Asker | null;
  /** A line for the person. */
  readonly tell: (text: string) => void;
}

/** The log file of a mount; null in the foreground and where standard error is the journal. */
export function logOf({ autossh, mountpoint, foreground }: Job, env: NodeJS.ProcessEnv): string | null {
  if (foreground) return null;
  if (autossh.logFile !== null) return autossh.logFile;
  return isJournal(env, 2) ? null : logFile(env, mountpoint);
}

/** Where the daemon's output goes: where ours does, the mount's log file, or nowhere when none can be made. */
async function openLog(job: Job, { env, uid }: StartOptions): Promise<number | 'inherit' | 'ignore'> {
  const path = logOf(job, env);
  if (path === null) return 'inherit';
  try {
    if (job.autossh.logFile === null) await ensurePrivateDirectory(dirname(path), uid);
    return openSync(path, 'a', 0o600);
  } catch {
    return 'ignore';
  }
}

async function start(job: Job, options: StartOptions): Promise<ChildProcess> {
  const log = await openLog(job, options);
  const { env } = options;
  const debug = options.debug ? { DEBUG: env.DEBUG ?? 'remora:*' } : {};
  try {
    return spawn(
      process.execPath,
      [...NODE_OPTIONS, fileURLToPath(new URL('./daemon.js', import.meta.url))],
      {
        detached: hasTerminal(),
        cwd: '/',
        stdio: job.options.passive ? ['inherit', 'inherit', log, 'ipc'] : ['ignore', log, log, 'ipc'],
        env: { ...env, ...debug, UV_THREADPOOL_SIZE: THREAD_POOL_SIZE },
      },
    );
  } finally {
    if (typeof log === 'number') closeSync(log);
  }
}

/** What a serving process tells while it works; its beginning and its end are promises. */
type News = Exclude<ToCommand, { readonly type: 'ready' | 'ended' }>;

export class DaemonProcess {
  readonly pid: number;
  /** Resolves with null when the mount is ready, else with how it ended before that. */
  readonly ready: Promise<Ending | null>;
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, logHint: string, tell: (news: News) => void) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    const ready = deferred<null>();
    const ended = deferred<Ending>();
    this.ended = ended.promise;
    this.ready = Promise.race([ready.promise, this.ended]);

    let ending: Ending | null = null;
    let gone = '';
    const closed = { exit: false, channel: false };
    const settle = (): void => {
      if (!closed.exit || !closed.channel) return;
      ended.resolve(ending ?? { exit: 'daemon', text: `the serving process died (${gone})${logHint}` });
    };
    child.on('error', (error) => {
      ended.resolve({ exit: 'daemon', text: `the serving process does not start: ${error.message}` });
    });
    child.on('exit', (code, signal) => {
      gone = signal ?? `exit code ${code}`;
      closed.exit = true;
      settle();
    });
    child.on('disconnect', () => {
      closed.channel = true;
      settle();
    });
    child.on('message', (message: ToCommand) => {
      if (message.type === 'ready') ready.resolve(null);
      else if (message.type === 'ended') ending = { exit: message.exit, text: message.text };
      else tell(message);
    });
  }

  /** Starts to serve `job`. */
  static async start(job: Job, options: StartOptions, tell: (news: News) => void): Promise<DaemonProcess> {
    const child = await start(job, options);
    const path = logOf(job, options.env);
    const logHint = path === null ? '' : `; its log is ${path}`;
    const daemon = new DaemonProcess(child, logHint, tell);
    daemon.#send({ type: 'job', job });
    return daemon;
  }

  answer(answer: Answer): void {
    this.#send(answer);
  }

  /** Ends the mount. With `force` without waiting for the server or for programs that hold files. */
  stop(force: boolean): void {
    this.#send({ type: 'stop', force });
  }

  /** It goes on alone, and this process need not wait for it; nothing more is told. */
  letGo(): void {
    this.#child.removeAllListeners();
    this.#child.disconnect();
    this.#child.unref();
  }

  /** This process need not wait for it, but is told what happens as long as it runs. */
  unref(): void {
    this.#child.unref();
    this.#child.channel?.unref();
  }

  /** This process waits for its end, again. */
  ref(): void {
    this.#child.ref();
    this.#child.channel?.ref();
  }

  #send(message: ToDaemon): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }
}

/**
 * Serves `job`. In the background it resolves when the mount is ready (exit `ok`) or has failed; in the
 * foreground when it has ended. SIGINT, SIGTERM and SIGHUP stop the mount; a second one forces it.
 */
export async function runDaemon(job: Job, options: DaemonOptions): Promise<Ending> {
  const { asker, verbose } = options;
  const answer = async (question: Question): Promise<void> => {
    const given = await answerBy(asker, question);
    daemon.answer(given);
    if (given.text === null && asker !== null) stop();
  };
  const daemon = await DaemonProcess.start(job, options, (news) => {
    switch (news.type) {
      case 'question':
        void answer(news);
        break;
      case 'info':
        options.tell(printable(news.text, true));
        break;
      case 'step':
        if (verbose) options.tell(printable(news.text));
        break;
      case 'notify':
        void notify(options.env, news.assignment);
    }
  });

  let interrupted = false;
  const stop = (): void => {
    daemon.stop(interrupted);
    interrupted = true;
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, stop);
  try {
    const failed = await daemon.ready;
    if (failed !== null) {
      return interrupted ? { exit: 'interrupted', text: 'interrupted; nothing is mounted' } : failed;
    }
    asker?.release();
    if (job.foreground) {
      void notify(options.env, 'READY=1');
      return await daemon.ended;
    }
    daemon.letGo();
    await notify(options.env, 'READY=1', `MAINPID=${daemon.pid}`);
    return { exit: 'ok', text: '' };
  } finally {
    for (const signal of signals) process.off(signal, stop);
    asker?.release();
  }
}
