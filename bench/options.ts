/** The command line of the bench, checked. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { PEER_NAMES, type PeerName } from './peers/index.js';
import { SCENARIO_NAMES } from './scenarios/index.js';

export interface BenchOptions {
  readonly scenario: readonly string[];
  /** Milliseconds. */
  readonly rtt: readonly number[];
  readonly peer: readonly PeerName[];
  readonly runs: number;
  /** Megabits per second; null is unlimited. */
  readonly bandwidth: number | null;
  /** Seconds; null is each scenario's own. */
  readonly cap: number | null;
  readonly out: string | null;
  readonly json: string | null;
  /** A results.json to add to. */
  readonly add: string | null;
  /** Directory that the server serves from; null chooses. */
  readonly data: string | null;
  readonly quick: boolean;
  readonly list: boolean;
  readonly remoraOptions: readonly string[];
  readonly profile: string | null;
  /** True, or the results.json to judge instead of measuring. */
  readonly checkTargets: boolean | string;
}

const MAX_RTT = 2000;
const MAX_RUNS = 100;
const MAX_BANDWIDTH = 100_000;
const MAX_CAP = 3600;

/** A parser for a number from `min` to `max`. */
function number(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`A number from ${min} to ${max} is wanted.`);
  };
}

/** A parser for a whole number from `min` to `max`. */
function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = number(min, max)(text);
    if (Number.isInteger(value)) return value;
    throw new InvalidArgumentError('A whole number is wanted.');
  };
}

/** A parser for a list, separated by commas, of what `each` accepts. */
function listOf<T>(each: (text: string) => T): (text: string) => readonly T[] {
  return (text) => text.split(',').map(each);
}

function oneOf<T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    const found = choices.find((choice) => choice === text);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`Choose from ${choices.join(', ')}.`);
  };
}

/** Reads the arguments behind the program's name; leaves the process with help or an error where that is due. */
export function parseOptions(args: readonly string[], command = new Command('bench')): BenchOptions {
  command
    .description('Measures Remora beside other clients of one SSH server.')
    .addOption(
      new Option('--scenario <names>', 'scenarios to run, see --list')
        .argParser(listOf(oneOf(SCENARIO_NAMES)))
        .default(SCENARIO_NAMES, 'all'),
    )
    .addOption(
      new Option('--rtt <ms>', 'round trips in milliseconds')
        .argParser(listOf(number(0, MAX_RTT)))
        .default([0, 20, 50], '0,20,50'),
    )
    .addOption(
      new Option('--peer <names>', `clients: ${PEER_NAMES.join(', ')}`)
        .argParser(listOf(oneOf(PEER_NAMES)))
        .default(PEER_NAMES, 'all'),
    )
    .addOption(new Option('--runs <n>', 'runs of everything').argParser(whole(1, MAX_RUNS)).default(3))
    .addOption(
      new Option('--bandwidth <Mbit>', 'limit of the network, each way; unlimited without it')
        .argParser(number(0.1, MAX_BANDWIDTH))
        .default(null, 'unlimited'),
    )
    .addOption(
      new Option('--cap <s>', "stop every command after so many seconds, instead of each scenario's own cap")
        .argParser(number(1, MAX_CAP))
        .default(null, 'by scenario'),
    )
    .addOption(
      new Option('--out <dir>', 'write results.json, results.md and results.svg there').default(null),
    )
    .addOption(new Option('--json <file>', 'write the results as JSON').default(null))
    .addOption(
      new Option(
        '--add <file>',
        'keep what an earlier run of this machine measured, but for what this one does',
      ).default(null),
    )
    .addOption(
      new Option('--data <dir>', 'where the server keeps its files').default(
        null,
        '/dev/shm, or the temporary directory',
      ),
    )
    .option('--quick', 'small sizes, to try the bench itself', false)
    .option('--list', 'list the scenarios', false)
    .addOption(
      new Option('--remora-options <opt>', 'a further -o for Remora; may be repeated')
        .argParser<readonly string[]>((value, previous) => [...previous, value])
        .default([], 'none'),
    )
    .addOption(
      new Option(
        '--profile <dir>',
        "write a processor profile of each of Remora's serving processes",
      ).default(null),
    )
    .option(
      '--check-targets [results.json]',
      'print the targets and fail when one is missed; of a file, without measuring',
    )
    .parse(args, { from: 'user' });
  const { checkTargets = false, ...options } = command.opts<BenchOptions>();
  return { ...options, checkTargets };
}
