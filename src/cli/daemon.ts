/**
 * The serving process: takes its job over IPC, runs one MountSession, and ends. In the background its output is the
 * mount's log.
 */
import { fstatSync } from 'node:fs';
import { logger, setLogSink } from '../base/log.js';
import { leaveSession } from '../fuse/libc.js';
import { type Ending, logOf } from './daemon-process.js';
import { leave } from './deadline.js';
import { EXIT } from './exit.js';
import type { Job, ToCommand, ToDaemon } from './ipc.js';
import { isJournal, journalLines, type Priority } from './journal.js';
import { LogFile } from './log-file.js';
import { MountSession } from './mount-session.js';
import { writePidFile } from './pid-file.js';
import { RemotePrompter } from './prompter.js';
import { notify, statusLine, watchdogPause } from './system/notify.js';

const log = logger('daemon');

function send(message: ToCommand): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

/**
 * For the service manager, which listens to its main process: the command as long as that is there, then this one. What
 * is said of the connection is said once.
 */
class Manager {
  #last = '';

  tell(assignment: string): void {
    if (process.env.NOTIFY_SOCKET === undefined || assignment === this.#last) return;
    if (assignment.startsWith('STATUS=')) this.#last = assignment;
    if (process.connected) send({ type: 'notify', assignment });
    else void notify(process.env, assignment);
  }

  /** From now on as often as it wants; a loop that hangs says nothing. */
  giveSignsOfLife(): void {
    const pause = watchdogPause(process.env);
    if (pause !== null) setInterval(() => this.tell('WATCHDOG=1'), pause).unref();
  }
}

/**
 * Where this process's lines go: to the person in the foreground or to the journal, which knows the time of each,
 * else to the log with their time.
 */
class Voice {
  /** Null where lines go to standard error. */
  readonly path: string | null;
  readonly #file: LogFile | null;
  readonly #isJournal = isJournal(process.env, 2);

  constructor(job: Job) {
    const path = logOf(job, process.env);
    this.path = path !== null && fstatSync(2).isFile() ? path : null;
    this.#file = this.path === null ? null : new LogFile(2, this.path);
    if (this.#file !== null) setLogSink((line) => this.#file?.write(line));
    else if (this.#isJournal) setLogSink((line) => process.stderr.write(journalLines('debug', line)));
  }

  report(text: string, priority: Priority = 'warning'): void {
    const line = `remora: ${text.trimEnd()}\n`;
    if (this.#file !== null) this.#file.write(`${new Date().toISOString()} ${line}`);
    else process.stderr.write(this.#isJournal ? journalLines(priority, line) : line);
  }

  end(): void {
    this.#file?.removeIfEmpty();
  }
}

/** Tells the command how it ended, and ends once that is on its way. */
function leaveWith(voice: Voice, ending: Ending, told: boolean): void {
  if (!told && ending.text !== '' && ending.exit !== 'interrupted') voice.report(ending.text, 'error');
  voice.end();
  const end = () => leave(EXIT[ending.exit].code);
  if (process.connected)
    process.send?.({ type: 'ended', ...ending } satisfies ToCommand, undefined, undefined, end);
  else end();
}

function serve(job: Job): void {
  // A terminal that was closed takes no more text; that must not end anything.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const voice = new Voice(job);
  const prompter = new RemotePrompter(job.interactive, send);
  const manager = new Manager();
  let ready = false;
  let removePidFile = () => {};
  const session = new MountSession(job, prompter, {
    logFile: voice.path,
    report: (text) => {
      voice.report(text);
      send({ type: 'report', text });
    },
    step: (text) => send({ type: 'step', text }),
    ready: () => {
      ready = true;
      leaveSession();
      try {
        if (job.autossh.pidFile !== null) removePidFile = writePidFile(job.autossh.pidFile);
      } catch (error) {
        voice.report(`AUTOSSH_PIDFILE: ${error instanceof Error ? error.message : error}`);
      }
      send({ type: 'ready' });
      manager.giveSignsOfLife();
    },
    linkChanged: (status) => {
      send({ type: 'link', status });
      manager.tell(`STATUS=${statusLine(job.source, job.mountpoint, status)}`);
    },
    stopping: () => manager.tell('STOPPING=1'),
  });

  process.on('message', (message: ToDaemon) => {
    if (message.type === 'answer') prompter.answer(message.id, message.text);
    if (message.type === 'stop') session.stop(message.force);
  });
  process.on('disconnect', () => {
    if (!ready || job.attached) session.stop(false);
  });
  let signalled = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      session.stop(signalled);
      signalled = true;
    });
  }
  // As autossh does; without a listener Node would open a debugger.
  process.on('SIGUSR1', () => session.reconnect());
  process.on('uncaughtException', (error) => {
    log('uncaught: %o', error);
    voice.report(`internal error, the mount ends: ${error.message}`, 'error');
    session.stop(false);
  });
  process.on('unhandledRejection', (reason) => {
    log('unhandled: %o', reason);
    voice.report(`internal error: ${reason instanceof Error ? reason.message : String(reason)}`, 'error');
  });

  const { maxLifetime } = job.autossh;
  if (maxLifetime !== null) {
    endAfter(maxLifetime, () => {
      voice.report(`${job.source}: unmounting after ${maxLifetime} s (AUTOSSH_MAXLIFETIME)`);
      session.stop(false);
    });
  }

  void session.run().then((ending) => {
    removePidFile();
    // In the foreground, and before the mount is ready, the command is there to tell the person.
    leaveWith(voice, ending, process.connected);
  });
}

/** Longest time that Node's timers know, in milliseconds. */
const TIMER_MAX = 2 ** 31 - 1;

/** Calls `end` after so many seconds, and keeps no process alive for that. */
function endAfter(seconds: number, end: () => void): void {
  const now = Math.min(seconds * 1000, TIMER_MAX);
  const left = seconds - now / 1000;
  setTimeout(() => (left > 0 ? endAfter(left, end) : end()), now).unref();
}

/** The command died while this process started, and nothing has begun. */
const orphaned = () => leave(EXIT.interrupted.code);

process.once('disconnect', orphaned);
process.once('message', (message: ToDaemon) => {
  process.off('disconnect', orphaned);
  if (message.type === 'job') serve(message.job);
});
