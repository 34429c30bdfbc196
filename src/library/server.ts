/**
 * Who serves a mount that a program makes: a process beside it, as for the command, or the program itself. Either is
 * spoken to through the control socket of the mount; this is only its beginning and its end.
 */
import { DaemonProcess, type Ending } from '../cli/daemon-process.js';
import type { Job } from '../cli/ipc.js';
import { MountSession } from '../cli/mount-session.js';
import type { LinkStatus } from '../recovery/session.js';
import { listenerOf, type PersonSettings, prompterOf } from './person.js';

export interface MountServer {
  readonly pid: number;
  /** Resolves with null when the mount is ready, else with how it ended before that. */
  readonly ready: Promise<Ending | null>;
  readonly ended: Promise<Ending>;
  stop(force: boolean): void;
  /** This process waits for its end. */
  ref(): void;
}

/**
 * Serves in a process of its own, with the log file that a mount of the command has. One that is not attached need
 * not be waited for once it is ready.
 */
export async function serveBeside(
  job: Job,
  person: PersonSettings,
  changed: (status: LinkStatus) => void,
): Promise<MountServer> {
  const { env } = process;
  const listener = listenerOf(person);
  const uid = process.getuid?.() ?? 0;
  const daemon = await DaemonProcess.start(job, { env, uid, debug: false }, (news) => {
    switch (news.type) {
      case 'link':
        return changed(news.status);
      case 'report':
        return person.log?.(news.text);
      case 'question':
      case 'info':
        void listener(news).then((answer) => {
          if (answer !== null) daemon.answer(answer);
        });
    }
  });
  if (!job.attached) void daemon.ready.then(() => daemon.unref());
  return daemon;
}

/** Serves in this process. */
export function serveHere(
  job: Job,
  person: PersonSettings,
  changed: (status: LinkStatus) => void,
): MountServer {
  let isReady = () => {};
  const ready = new Promise<null>((resolve) => {
    isReady = () => resolve(null);
  });
  const prompter = prompterOf(job.interactive ? person : { ...person, ask: undefined });
  const session = new MountSession(job, prompter, {
    report: (text) => person.log?.(text),
    step: () => {},
    ready: isReady,
    logFile: null,
    linkChanged: changed,
    stopping: () => {},
  });
  const ended = session.run();
  return {
    pid: process.pid,
    ready: Promise.race([ready, ended]),
    ended,
    stop: (force) => session.stop(force),
    ref: () => {},
  };
}
