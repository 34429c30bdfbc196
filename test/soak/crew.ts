/** The workers as child processes: started, waited for, and ended when they hang, which is told with the call. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { endProcesses } from '../support/processes.js';
import { baseEnvironment } from '../support/run.js';
import type { Scope } from '../support/scope.js';
import type { Report } from './calls.js';
import type { Claimed } from './claims.js';
import type { Job, Kind } from './worker-process.js';

/** Who works in a run; several of a kind have different seeds. */
export const CREW: readonly Kind[] = [
  'appender',
  'overwriter',
  'overwriter',
  'replacer',
  'namer',
  'namer',
  'reader',
  'witness',
];

export interface Member {
  readonly job: Job;
  readonly ended: Promise<string | null>;
}

export interface CrewSettings {
  readonly seed: string;
  readonly mountpoint: string;
  readonly closeConfirms: boolean;
  readonly until: number;
  readonly deadline: number;
  /** Milliseconds after the deadline in which a last call may still return. */
  readonly bound: number;
}

export class Crew {
  readonly #members: readonly Member[];

  private constructor(members: readonly Member[]) {
    this.#members = members;
  }

  static async start(scope: Scope, settings: CrewSettings): Promise<Crew> {
    const local = await scope.makeDirectory('reports');
    const members = CREW.map((kind, index) => {
      const name = memberName(kind, index);
      const file = (suffix: string) => join(local, `${name}.${suffix}`);
      const job: Job = {
        kind,
        name,
        seed: settings.seed,
        directory: join(settings.mountpoint, name),
        closeConfirms: settings.closeConfirms,
        report: file('reports'),
        current: file('current'),
        claims: file('claims'),
        until: settings.until,
        deadline: settings.deadline,
      };
      return { job, ended: end(scope, job, settings.deadline + settings.bound) };
    });
    return new Crew(members);
  }

  /** Waits for everybody; answers what was wrong with whom. */
  async finish(): Promise<readonly string[]> {
    const endings = await Promise.all(this.#members.map(({ ended }) => ended));
    return endings.filter((trouble) => trouble !== null);
  }

  async reports(): Promise<readonly Report[]> {
    const texts = this.#members.map(({ job }) => readFile(job.report, 'utf8').catch(() => ''));
    const lines = (await Promise.all(texts)).flatMap((text) => text.split('\n'));
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Report);
  }

  /** What must be true, by the name of each worker's directory. */
  async claims(): Promise<ReadonlyMap<string, readonly Claimed[]>> {
    const found = this.#members.map(async ({ job }) => {
      const text = await readFile(job.claims, 'utf8').catch(() => '[]');
      return [job.name, JSON.parse(text) as readonly Claimed[]] as const;
    });
    return new Map(await Promise.all(found));
  }
}

/** The name of a worker and of its directory. */
export const memberName = (kind: Kind, index: number): string => `${kind}-${index}`;

async function end(scope: Scope, job: Job, latest: number): Promise<string | null> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'worker-process.js'), JSON.stringify(job)],
    {
      env: { ...baseEnvironment(), ...scope.environment },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const { pid } = child;
  if (pid !== undefined) scope.defer(job.name, () => endProcesses([pid], 'SIGKILL'));
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const code = await exitOf(child, latest - Date.now());
  if (code === 0) return null;
  const current = (await readFile(job.current, 'utf8').catch(() => '')).trim();
  if (code === null) return `${job.name} hangs: ${current}`;
  return `${job.name} ended with ${code} in ${current}: ${said.trim()}`;
}

/** The exit code or signal, or null when it does not end in time. */
function exitOf(child: ChildProcess, milliseconds: number): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), milliseconds);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      resolve(code ?? signal);
    });
  });
}
