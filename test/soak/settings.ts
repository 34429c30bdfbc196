/** What a run can be told on the command line, and what follows from it. */
import { parseArgs } from 'node:util';
import { FAULTS } from './faults.js';

export interface Settings {
  readonly minutes: number;
  readonly seed: string;
  readonly json: boolean;
  /** Names of the faults to play; all of them when empty. */
  readonly faults: readonly string[];
  /** Further values of `-o` for the mount. */
  readonly options: readonly string[];
  /** Namespaces of the daemon's debug log, which a failed run keeps. */
  readonly debug: string | null;
}

export const USAGE = `usage: npm run soak -- [--minutes N] [--seed S] [--json]\n  [--fault NAME]... [-o OPTION]... [--debug NAMESPACES]`;

/** @throws when the arguments make no sense. */
export function parseSettings(args: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string', default: Math.random().toString(36).slice(2, 10) },
      json: { type: 'boolean', default: false },
      fault: { type: 'string', multiple: true, default: [] },
      option: { type: 'string', short: 'o', multiple: true, default: [] },
      debug: { type: 'string' },
    },
  });
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) throw new Error(`--minutes ${values.minutes}: not a positive number`);
  const unknown = values.fault.find((name) => !(name in FAULTS));
  if (unknown !== undefined) {
    throw new Error(`--fault ${unknown}: not one of ${Object.keys(FAULTS).join(', ')}`);
  }
  const { seed, json, fault: faults, option: options, debug = null } = values;
  return { minutes, seed, json, faults, options, debug };
}

const SECOND = 1_000;
const ALIVE_INTERVAL = 1;
const ALIVE_COUNT = 2;
const CONNECT_TIMEOUT = 3;
const TIMEOUT = 6;

/** Short times, so that a minute has many of each. */
export const MOUNT_OPTIONS: readonly string[] = [
  `ServerAliveInterval=${ALIVE_INTERVAL},ServerAliveCountMax=${ALIVE_COUNT}`,
  `ConnectTimeout=${CONNECT_TIMEOUT},timeout=${TIMEOUT}`,
];

/** Silence of a server after which its connection is lost, in milliseconds. */
export const DETECTION = (ALIVE_COUNT + 1) * ALIVE_INTERVAL * SECOND;

/** How long a call waits for a server that gives no sign, in milliseconds. */
export const WAITING = TIMEOUT * SECOND;

/** A busy machine is late with everything. */
const LATE = 3 * SECOND;

/** No call may take longer: it waits for the loss to be noticed, then for the server, then for one more login. */
export const BOUND = DETECTION + WAITING + CONNECT_TIMEOUT * SECOND + LATE;

/** After the last fault, the mount has to work again within so many milliseconds. */
export const COMEBACK = 30 * SECOND;
