/**
 * A worker as a process: works until its time is over, then brings everything to rest, and says what must be true.
 * It makes its calls one after the other and waits for each, as most programs do; so nothing here is asynchronous.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { Calls, pause } from './calls.js';
import { Random } from './random.js';
import { Appender } from './workers/appender.js';
import { Namer } from './workers/namer.js';
import { Overwriter } from './workers/overwriter.js';
import { Reader } from './workers/reader.js';
import { Replacer } from './workers/replacer.js';
import { Witness } from './workers/witness.js';
import type { Place, Worker } from './workers/worker.js';

export const KINDS = {
  appender: (place: Place): Worker => new Appender(place),
  namer: (place: Place): Worker => new Namer(place),
  overwriter: (place: Place): Worker => new Overwriter(place),
  reader: (place: Place): Worker => new Reader(place),
  replacer: (place: Place): Worker => new Replacer(place),
  witness: (place: Place): Worker => new Witness(place),
} as const;

export type Kind = keyof typeof KINDS;

export interface Job {
  readonly kind: Kind;
  readonly name: string;
  readonly seed: string;
  /** The worker's directory below the mount, and local files for what it says. */
  readonly directory: string;
  readonly closeConfirms: boolean;
  readonly report: string;
  readonly current: string;
  readonly claims: string;
  /** Milliseconds since the epoch: no new work after `until`; what is not at rest by `deadline` is wrong. */
  readonly until: number;
  readonly deadline: number;
}

/** Longest pause between two steps in milliseconds: the machine has more to do. */
const PAUSE = 15;

function work(job: Job): void {
  const calls = new Calls({ worker: job.name, report: job.report, current: job.current });
  const random = new Random(`${job.seed}/${job.name}`);
  const worker = KINDS[job.kind]({
    calls,
    random,
    seed: `${job.seed}/${job.name}`,
    directory: job.directory,
    closeConfirms: job.closeConfirms,
  });
  while (Date.now() < job.until) {
    worker.step();
    pause(random.between(0, PAUSE));
  }
  while (!worker.settle()) {
    if (Date.now() > job.deadline) {
      calls.wrong('the mount did not come back in time');
      break;
    }
    pause(PAUSE);
  }
  writeFileSync(job.claims, JSON.stringify(worker.claims()));
  calls.done();
}

const [text] = process.argv.slice(2);
if (text === undefined) throw new Error('usage: worker-process JOB');
const job = JSON.parse(text) as Job;
mkdirSync(job.directory, { recursive: true });
work(job);
