/**
 * What a scenario is: something to prepare at the server, something to time at a client that has nothing
 * cached, and a check of what was read or written that is not in the time.
 */
import type { Data } from '../data.js';
import type { Client } from '../peers/peer.js';
import type { VariantName } from '../peers/variants.js';
import type { Direction, Unit } from '../results.js';
import type { Sizes } from '../sizes.js';

export interface Metric {
  readonly name: string;
  readonly unit: Unit;
  readonly better: Direction;
  /** What is known when the command behind it was stopped after so many seconds; null is nothing. */
  readonly atCap: ((seconds: number) => number) | null;
}

/** What a scenario finds around it. */
export interface Stage {
  readonly client: Client;
  /** Disconnects the client; answers it connected anew. */
  readonly reconnect: () => Promise<Client>;
  readonly data: Data;
  /** Directory of the bench's own machine for what is read; no client sees it. */
  readonly workshop: string;
  /** Seconds that one command may take. */
  readonly cap: number;
  /** Notes the value of a metric; in the order of the metrics. */
  readonly record: (metric: string, value: number) => void;
}

export interface Scenario {
  readonly name: string;
  /** One line for `--list` and the report. */
  readonly about: string;
  readonly metrics: readonly Metric[];
  /** Seconds that one command may take. */
  readonly cap: number;
  /** True where a program that only copies can take part. */
  readonly copies?: boolean;
  /** True where the local directory is measured too. */
  readonly local?: boolean;
  /** Remora with options of its own that takes part too. */
  readonly variants?: readonly VariantName[];
  /** Runs that are enough where one may take many minutes. */
  readonly runs?: number;
  /** True where the round trip changes nothing, so that the shortest is enough. */
  readonly once?: boolean;
  /** Makes what is needed at the server, before the client is connected. */
  prepare(data: Data): Promise<void>;
  run(stage: Stage): Promise<void>;
}

/** A family of scenarios for given sizes. */
export type ScenarioFactory = (sizes: Sizes) => readonly Scenario[];

export const MB = 1e6;
export const GIB = 2 ** 30;

export function duration(name: string): Metric {
  return { name, unit: 's', better: 'lower', atCap: (seconds) => seconds };
}

/** Megabytes (10^6) a second of a transfer of `bytes`. */
export function throughput(name: string, bytes: number): Metric {
  return { name, unit: 'MB/s', better: 'higher', atCap: (seconds) => bytes / MB / seconds };
}

/** Operations a second of `count`. */
export function rate(name: string, count: number): Metric {
  return { name, unit: '1/s', better: 'higher', atCap: (seconds) => count / seconds };
}

/** Something that has no bound when a command was stopped. */
export function quantity(name: string, unit: Unit): Metric {
  return { name, unit, better: 'lower', atCap: null };
}

/** The mounted directory; only clients that mount run scenarios that need one. */
export function mounted(client: Client): string {
  if (client.directory === null) throw new Error('this client does not mount');
  return client.directory;
}

/** Throws unless what was read or written is what it should be. */
export function check(right: boolean, what: string): void {
  if (!right) throw new Error(`wrong content: ${what}`);
}
