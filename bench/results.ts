/**
 * What a run of the bench found, as it is kept in results.json, and the little arithmetic on it: medians and
 * the ratio of two clients. All pure. A ratio is always told so that more than 1 is good for Remora, whatever
 * the unit; a run that was stopped at its cap gives a bound instead of a value.
 */

export type Unit = 'MB/s' | '1/s' | 's' | 'ms' | 'CPU s/GiB' | 'MiB';

export type Direction = 'higher' | 'lower';

/** What two runs found together; where both measured a scenario at a round trip, the `later` one counts. */
export function merged(earlier: Results, later: Results): Results {
  const again = new Set(later.measurements.map(({ scenario, rtt }) => `${scenario} ${rtt}`));
  const kept = earlier.measurements.filter(({ scenario, rtt }) => !again.has(`${scenario} ${rtt}`));
  return {
    ...later,
    versions: { ...earlier.versions, ...later.versions },
    roundTrips: { ...earlier.roundTrips, ...later.roundTrips },
    measurements: [...kept, ...later.measurements].sort((a, b) => a.rtt - b.rtt),
  };
}

/** Values of one metric, one client and one round trip. */
export interface Measurement {
  readonly scenario: string;
  readonly metric: string;
  readonly unit: Unit;
  /** Which values are the good ones. */
  readonly better: Direction;
  /** Milliseconds. */
  readonly rtt: number;
  readonly peer: string;
  /** One value a run. */
  readonly values: readonly number[];
  /** When a run was stopped at its cap: the true value is worse than this. */
  readonly bound: number | null;
  /** Why there is no value, when a run failed. */
  readonly failure: string | null;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
}

export interface Settings {
  readonly quick: boolean;
  /** Megabits per second; null is unlimited. */
  readonly bandwidth: number | null;
  /** Seconds after which a command is stopped; null is each scenario's own. */
  readonly cap: number | null;
  /** Type of the filesystem that the server serves from. */
  readonly storage: string;
  readonly remoraOptions: readonly string[];
}

export interface Results {
  /** ISO 8601, when the run ended. */
  readonly date: string;
  readonly machine: Machine;
  /** Versions by program. */
  readonly versions: Readonly<Record<string, string>>;
  readonly settings: Settings;
  /** Measured round trips of the proxy in milliseconds, by the round trip asked for. */
  readonly roundTrips: Readonly<Record<string, number>>;
  readonly measurements: readonly Measurement[];
}

/** How much better the one is than the other; `exact` is false where a cap made it a bound. */
export interface Ratio {
  readonly value: number;
  readonly exact: 'equal' | 'at least' | 'at most';
}

export const SUBJECT = 'remora';

/** Is the client Remora with options of its own? */
export function isVariant(peer: string): boolean {
  return peer.startsWith(`${SUBJECT}-`);
}

/** The middle value, or the mean of the middle two; null of nothing. */
export function median(values: readonly number[]): number | null {
  return quantile(values, 0.5);
}

/** The value below which `fraction` (0 to 1) of the values lie, interpolated; null of nothing. */
export function quantile(values: readonly number[], fraction: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * fraction;
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  if (below === undefined || above === undefined) return null;
  return below + (above - below) * (place - Math.floor(place));
}

/** How much better `subject` is than `other`; null where neither side has a value to compare with. */
export function ratio(subject: Measurement | undefined, other: Measurement | undefined): Ratio | null {
  if (!subject || !other || subject.failure !== null || other.failure !== null) return null;
  if (subject.bound !== null && other.bound !== null) return null;
  const mine = subject.bound ?? median(subject.values);
  const theirs = other.bound ?? median(other.values);
  if (mine === null || theirs === null || mine <= 0 || theirs <= 0) return null;
  const value = subject.better === 'higher' ? mine / theirs : theirs / mine;
  return {
    value,
    exact: subject.bound !== null ? 'at most' : other.bound !== null ? 'at least' : 'equal',
  };
}

/** Finds measurements by what they are of. */
export function find(
  results: Results,
  scenario: string,
  metric: string,
  rtt: number,
  peer: string,
): Measurement | undefined {
  return results.measurements.find(
    (each) => each.scenario === scenario && each.metric === metric && each.rtt === rtt && each.peer === peer,
  );
}

/** The values of one metric at one round trip: a row of the table, a group of bars. */
export interface Row {
  readonly scenario: string;
  readonly metric: string;
  readonly unit: Unit;
  readonly better: Direction;
  readonly rtt: number;
  readonly byPeer: ReadonlyMap<string, Measurement>;
}

/** Measurements gathered into rows, in the order in which they were made. */
export function rowsOf(measurements: readonly Measurement[]): readonly Row[] {
  const rows = new Map<string, Row & { readonly byPeer: Map<string, Measurement> }>();
  for (const each of measurements) {
    const key = JSON.stringify([each.rtt, each.scenario, each.metric]);
    const { scenario, metric, unit, better, rtt } = each;
    const row = rows.get(key) ?? { scenario, metric, unit, better, rtt, byPeer: new Map() };
    row.byPeer.set(each.peer, each);
    rows.set(key, row);
  }
  return [...rows.values()];
}

/** How often a row was measured: the fewest and the most values of a client; one that was stopped gave fewer. */
export function runsOf({ byPeer }: Row): readonly [number, number] {
  const counts = [...byPeer.values()].map(({ values }) => values.length).filter((count) => count > 0);
  return counts.length === 0 ? [0, 0] : [Math.min(...counts), Math.max(...counts)];
}

/** Peers other than Remora, with whatever options, in the order in which they first appear. */
export function peersOf(measurements: readonly Measurement[]): readonly string[] {
  return namesIn(measurements).filter((peer) => peer !== SUBJECT && !isVariant(peer));
}

/** Remora with options of its own, in the order in which they first appear. */
export function variantsOf(measurements: readonly Measurement[]): readonly string[] {
  return namesIn(measurements).filter(isVariant);
}

function namesIn(measurements: readonly Measurement[]): readonly string[] {
  return [...new Set(measurements.map(({ peer }) => peer))];
}
