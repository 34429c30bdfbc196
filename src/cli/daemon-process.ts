/**
 * The serving process as the command sees it: started detached with a session of its own (so that Ctrl-C at
 * the terminal reaches only the command, which passes it on as a request to stop), told its job over IPC,
 * its questions answered here. It ends when this side disappears before the mount is ready.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { printable } from '../base/printable.js';
import { type Asker, answerBy } from './asker.js';
import { ensurePrivateDirectory, logFile } from './directories.js';
import type { ExitName } from './exit.js';
import type { Job, Question, ToCommand, ToDaemon } from './ipc.js';

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

export interface DaemonOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly uid: number;
  readonly debug: boolean;
  readonly verbose: boolean;
  readonly asker: Asker | null;
  /** A line for the person. */
  readonly tell: (text: string) => void;
}

/** The log file of a mount in the background. */
export function logOf({ autossh, mountpoint }: Job, env: NodeJS.ProcessEnv): string {
  return autossh.logFile ?? logFile(env, mountpoint);
}

/** Where the daemon's output goes: the terminal, the mount's log file, or nowhere when none can be made. */
async function openLog(job: Job, { env, uid }: DaemonOptions): Promise<number | 'inherit' | 'ignore'> {
  if (job.foreground) return 'inherit';
  const path = logOf(job, env);
  try {
    if (job.autossh.logFile === null) await ensurePrivateDirectory(dirname(path), uid);
    return openSync(path, 'a', 0o600);
  } catch {
    return 'ignore';
  }
}

async function start(job: Job, options: DaemonOptions): Promise<ChildProcess> {
  const log = await openLog(job, options);
  const { env } = options;
  const debug = options.debug ? { DEBUG: env.DEBUG ?? 'remora:*' } : {};
  try {
    return spawn(
      process.execPath,
      [...NODE_OPTIONS, fileURLToPath(new URL('./daemon.js', import.meta.url))],
      {
        detached: true,
        cwd: '/',
        stdio: job.options.passive ? ['inherit', 'inherit', log, 'ipc'] : ['ignore', log, log, 'ipc'],
        env: { ...env, ...debug, UV_THREADPOOL_SIZE: THREAD_POOL_SIZE },
      },
    );
  } finally {
    if (typeof log === 'number') closeSync(log);
  }
}

/**
 * Serves `job`. In the background it resolves when the mount is ready (exit `ok`) or has failed; in the
 * foreground when it has ended. SIGINT, SIGTERM and SIGHUP stop the mount; a second one forces it.
 */
export async function runDaemon(job: Job, options: DaemonOptions): Promise<Ending> {
  const child = await start(job, options);
  const send = (message: ToDaemon): void => {
    if (child.connected) child.send(message, () => {});
  };

  const logHint = job.foreground ? '' : `; its log is ${logOf(job, options.env)}`;

  let ready = false;
  let interrupted = false;
  const stop = (): void => {
    send({ type: 'stop', force: interrupted });
    interrupted = true;
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, stop);

  const answer = async (question: Question): Promise<void> => {
    const given = await answerBy(options.asker, question);
    send(given);
    if (given.text === null && options.asker !== null) stop();
  };

  try {
    return await new Promise<Ending>((resolve) => {
      let ending: Ending | null = null;
      let gone = '';
      const closed = { exit: false, channel: false };
      const settle = (): void => {
        if (!closed.exit || !closed.channel) return;
        if (interrupted && !ready) resolve({ exit: 'interrupted', text: 'interrupted; nothing is mounted' });
        else resolve(ending ?? { exit: 'daemon', text: `the serving process died (${gone})${logHint}` });
      };
      child.on('error', (error) => {
        resolve({ exit: 'daemon', text: `the serving process does not start: ${error.message}` });
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
        switch (message.type) {
          case 'question':
            void answer(message);
            break;
          case 'info':
            options.tell(printable(message.text, true));
            break;
          case 'step':
            if (options.verbose) options.tell(printable(message.text));
            break;
          case 'ready':
            ready = true;
            options.asker?.release();
            if (job.foreground) break;
            child.removeAllListeners();
            child.disconnect();
            child.unref();
            resolve({ exit: 'ok', text: '' });
            break;
          case 'ended':
            ending = { exit: message.exit, text: message.text };
            break;
        }
      });
      send({ type: 'job', job });
    });
  } finally {
    for (const signal of signals) process.off(signal, stop);
    options.asker?.release();
  }
}
