/**
 * The serving process: takes its job over IPC, runs one MountSession, and leaves by _exit(2), because a
 * notification that the kernel lets wait would hold exit(3) for ever. In the background its output is the mount's log.
 */
import { fstatSync, unlinkSync } from 'node:fs';
import { logger } from '../base/log.js';
import type { Ending } from './daemon-process.js';
import { exitNow } from './deadline.js';
import { logFile } from './directories.js';
import { EXIT } from './exit.js';
import type { Job, ToCommand, ToDaemon } from './ipc.js';
import { MountSession } from './mount-session.js';
import { RemotePrompter } from './prompter.js';

const log = logger('daemon');

function send(message: ToCommand): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

/** One line for the person in the foreground, or for the log with its time. */
function report(foreground: boolean, text: string): void {
  const time = foreground ? '' : `${new Date().toISOString()} `;
  process.stderr.write(`${time}remora: ${text.trimEnd()}\n`);
}

/** A log that nothing was written to is not left behind. */
function removeEmptyLog(job: Job): void {
  try {
    if (!job.foreground && fstatSync(2).isFile() && fstatSync(2).size === 0) {
      unlinkSync(logFile(process.env, job.mountpoint));
    }
  } catch (error) {
    log('log file: %o', error);
  }
}

/** Tells the command how it ended, and ends once that is on its way. */
function leaveWith(job: Job, ending: Ending, told: boolean): void {
  if (!told && ending.text !== '' && ending.exit !== 'interrupted') report(job.foreground, ending.text);
  removeEmptyLog(job);
  const leave = () => exitNow(EXIT[ending.exit].code);
  if (process.connected)
    process.send?.({ type: 'ended', ...ending } satisfies ToCommand, undefined, undefined, leave);
  else leave();
}

function serve(job: Job): void {
  // A terminal that was closed takes no more text; that must not end anything.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const prompter = new RemotePrompter(job.interactive, send);
  let ready = false;
  const session = new MountSession(job, prompter, {
    report: (text) => report(job.foreground, text),
    step: (text) => send({ type: 'step', text }),
    ready: () => {
      ready = true;
      send({ type: 'ready' });
    },
  });

  process.on('message', (message: ToDaemon) => {
    if (message.type === 'answer') prompter.answer(message.id, message.text);
    if (message.type === 'stop') session.stop(message.force);
  });
  process.on('disconnect', () => {
    if (!ready || job.foreground) session.stop(false);
  });
  let signalled = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      session.stop(signalled);
      signalled = true;
    });
  }
  process.on('uncaughtException', (error) => {
    log('uncaught: %o', error);
    report(job.foreground, `internal error, the mount ends: ${error.message}`);
    session.stop(false);
  });
  process.on('unhandledRejection', (reason) => {
    log('unhandled: %o', reason);
    report(job.foreground, `internal error: ${reason instanceof Error ? reason.message : String(reason)}`);
  });

  void session.run().then((ending) => {
    // In the foreground, and before the mount is ready, the command is there to tell the person.
    leaveWith(job, ending, process.connected);
  });
}

/** The command died while this process started, and nothing has begun. */
const orphaned = () => exitNow(EXIT.interrupted.code);

process.once('disconnect', orphaned);
process.once('message', (message: ToDaemon) => {
  process.off('disconnect', orphaned);
  if (message.type === 'job') serve(message.job);
});
