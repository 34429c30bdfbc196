/**
 * Runs a plan: for every round trip and scenario, the clients take turns (A B C A B C), each connected anew
 * for one measurement, so that nothing is cached and whatever else the machine does hits all of them alike.
 * A client that was stopped at a cap is not tried again in that scenario; one that fails is noted and the
 * rest goes on.
 */
import { rm } from 'node:fs/promises';
import type { Scope } from '../test/support/scope.js';
import type { Server } from '../test/support/server.js';
import type { Data } from './data.js';
import type { Network } from './network.js';
import type { Client, Peer } from './peers/peer.js';
import { isVariant, type Measurement } from './results.js';
import { scenariosFor } from './scenarios/index.js';
import type { Metric, Scenario } from './scenarios/scenario.js';
import { sizesFor } from './sizes.js';
import { OverCap } from './tools.js';

export interface Plan {
  readonly peers: readonly Peer[];
  /** Names of scenarios. */
  readonly scenarios: readonly string[];
  /** Milliseconds. */
  readonly rtts: readonly number[];
  readonly runs: number;
  readonly quick: boolean;
  /** Seconds for one command, instead of each scenario's own. */
  readonly cap: number | null;
}

export interface Surroundings {
  readonly scope: Scope;
  readonly network: Network;
  readonly data: Data;
  /** Told of each measurement as it is made. */
  readonly progress: (line: string) => void;
  /** Ends the run before the next measurement. */
  readonly signal: AbortSignal;
}

/** What is known of one client in one scenario at one round trip. */
interface Tally {
  readonly values: Map<string, number[]>;
  readonly bounds: Map<string, number>;
  failure: string | null;
  over: boolean;
}

export async function measure(plan: Plan, around: Surroundings): Promise<readonly Measurement[]> {
  const measurements: Measurement[] = [];
  for (const rtt of plan.rtts) {
    const server = await around.network.server(rtt);
    for (const scenario of scenariosFor(sizesFor(rtt, plan.quick))) {
      if (!plan.scenarios.includes(scenario.name)) continue;
      if (scenario.once === true && rtt !== Math.min(...plan.rtts)) continue;
      const peers = plan.peers.filter((peer) => takesPart(peer, scenario));
      const tallies = new Map(peers.map((peer) => [peer, emptyTally()]));
      const runs = Math.min(plan.runs, scenario.runs ?? plan.runs);
      for (let run = 1; run <= runs; run++) {
        for (const [peer, tally] of tallies) {
          if (tally.over || tally.failure !== null) continue;
          around.signal.throwIfAborted();
          const heard = await once({ peer, scenario, tally, server, plan, around });
          around.progress(`${rtt} ms, ${scenario.name}, ${peer.name}, run ${run}: ${heard}`);
        }
      }
      for (const [peer, tally] of tallies) measurements.push(...tallied(peer, scenario, rtt, tally));
    }
  }
  return measurements;
}

function takesPart(peer: Peer, scenario: Scenario): boolean {
  if (peer.name === 'local') return scenario.local === true;
  if (isVariant(peer.name)) return scenario.variants?.some((name) => name === peer.name) === true;
  return peer.mounts || scenario.copies === true;
}

function emptyTally(): Tally {
  return { values: new Map(), bounds: new Map(), failure: null, over: false };
}

interface Turn {
  readonly peer: Peer;
  readonly scenario: Scenario;
  readonly tally: Tally;
  readonly server: Server;
  readonly plan: Plan;
  readonly around: Surroundings;
}

/** One client's turn; answers what to tell of it. */
async function once({ peer, scenario, tally, server, plan, around }: Turn): Promise<string> {
  const { scope, data } = around;
  const recorded = new Map<string, number>();
  const workshop = await scope.makeDirectory('workshop');
  const cache = await scope.makeDirectory('cache');
  const clients: Client[] = [];
  const disconnect = async () => {
    for (const client of clients.splice(0)) await client.close();
  };
  const connect = async () => {
    await disconnect();
    const client = await peer.connect({ scope, server, directory: data.root, cache });
    clients.push(client);
    return client;
  };
  try {
    await scenario.prepare(data);
    await scenario.run({
      client: await connect(),
      reconnect: connect,
      data,
      workshop,
      cap: plan.cap ?? scenario.cap,
      record: (metric, value) => recorded.set(metric, value),
    });
  } catch (error) {
    if (error instanceof OverCap) {
      tally.over = true;
      const bound = boundAt(scenario.metrics, recorded, error.cap);
      if (bound !== null) tally.bounds.set(...bound);
    } else {
      const message = error instanceof Error ? error.message : String(error);
      // Results are published; where things were on this machine is not.
      tally.failure = message.replaceAll(scope.directory, '').replaceAll(process.cwd(), '');
    }
  } finally {
    await disconnect();
    for (const directory of [workshop, cache]) await rm(directory, { recursive: true, force: true });
  }
  if (tally.failure === null) {
    for (const [metric, value] of recorded) {
      tally.values.set(metric, [...(tally.values.get(metric) ?? []), value]);
    }
  }
  return told(scenario, recorded, tally);
}

/** The metric that was being measured when the cap struck, and what is known of it. */
function boundAt(
  metrics: readonly Metric[],
  recorded: ReadonlyMap<string, number>,
  seconds: number,
): [string, number] | null {
  const metric = metrics.find(({ name }) => !recorded.has(name));
  return metric?.atCap ? [metric.name, metric.atCap(seconds)] : null;
}

function told(scenario: Scenario, recorded: ReadonlyMap<string, number>, tally: Tally): string {
  if (tally.failure !== null) return `failed: ${tally.failure}`;
  const values = scenario.metrics
    .filter(({ name }) => recorded.has(name))
    .map(({ name, unit }) => `${name} ${(recorded.get(name) ?? 0).toPrecision(4)} ${unit}`);
  return [...values, ...(tally.over ? ['stopped at the cap'] : [])].join(', ');
}

function tallied(peer: Peer, scenario: Scenario, rtt: number, tally: Tally): readonly Measurement[] {
  return scenario.metrics.flatMap(({ name, unit, better }) => {
    const values = tally.values.get(name) ?? [];
    const bound = tally.bounds.get(name) ?? null;
    if (values.length === 0 && bound === null && tally.failure === null) return [];
    const { failure } = tally;
    return [
      { scenario: scenario.name, metric: name, unit, better, rtt, peer: peer.name, values, bound, failure },
    ];
  });
}
