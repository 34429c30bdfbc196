/** Results as Markdown: what ran where, one table a round trip, and the targets. Pure. */
import {
  type Measurement,
  median,
  peersOf,
  type Ratio,
  type Results,
  type Row,
  ratio,
  rowsOf,
  runsOf,
  SUBJECT,
  variantsOf,
} from './results.js';
import { type Judgement, judge } from './targets.js';

/** Three significant digits, without an exponent. */
export function figure(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 6));
}

/** `median (min–max)`, `> bound`, `failed`, or a dash. */
export function cell(measurement: Measurement | undefined): string {
  if (measurement === undefined) return '–';
  const { values, bound, failure, better } = measurement;
  if (failure !== null) return 'failed';
  if (bound !== null) return `${better === 'lower' ? '>' : '<'} ${figure(bound)}`;
  const middle = median(values);
  if (middle === null) return '–';
  if (values.length === 1) return figure(middle);
  return `${figure(middle)} (${figure(Math.min(...values))}–${figure(Math.max(...values))})`;
}

export function times(found: Ratio | null): string {
  if (found === null) return '–';
  const sign = { equal: '', 'at least': '≥ ', 'at most': '≤ ' }[found.exact];
  return `${sign}${figure(found.value)} ×`;
}

export function markdown(results: Results): string {
  const rtts = [...new Set(results.measurements.map(({ rtt }) => rtt))];
  return [
    '# Measurements',
    about(results),
    '![Remora beside the other clients](results.svg)',
    [
      'Medians of so many runs, in turn, with the smallest and the largest value. `× peer` says how many times better Remora is: more than 1 is faster, or cheaper.',
      '`>` and `<` are values of clients that were stopped at the cap of the scenario.',
    ].join(' '),
    ...rtts.flatMap((rtt) => [heading(results, rtt), table(results, rtt)]),
    '## Targets',
    targetTable(judge(results)),
    ...failures(results.measurements),
  ]
    .join('\n\n')
    .concat('\n');
}

function about({ machine, versions, settings, date }: Results): string {
  const versionList = Object.entries(versions).map(([program, version]) => `${program} ${version}`);
  const remarks = [
    date.slice(0, 10),
    ...(settings.quick ? ['quick sizes'] : []),
    ...(settings.bandwidth === null ? [] : [`${settings.bandwidth} Mbit/s`]),
    ...(settings.cap === null ? [] : [`every command stopped after ${settings.cap} s`]),
    ...(settings.remoraOptions.length === 0 ? [] : [`Remora with -o ${settings.remoraOptions.join(' -o ')}`]),
  ];
  return [
    `- ${remarks.join(', ')}`,
    `- ${machine.cpu}, ${machine.cores} cores, ${figure(machine.memoryGiB)} GiB, Linux ${machine.kernel}, Node ${machine.node}`,
    `- ${versionList.join(', ')}`,
    `- one sshd on loopback, which serves from ${settings.storage}`,
  ].join('\n');
}

function heading({ roundTrips }: Results, rtt: number): string {
  const measured = roundTrips[String(rtt)];
  const title = rtt === 0 ? '## No delay' : `## Round trip of ${rtt} ms`;
  return rtt === 0 || measured === undefined ? title : `${title} (measured ${figure(measured)} ms)`;
}

function table({ measurements }: Results, rtt: number): string {
  const peers = peersOf(measurements);
  const shown = [SUBJECT, ...variantsOf(measurements), ...peers];
  const columns = ['scenario', 'unit', 'runs', ...shown, ...peers.map((peer) => `× ${peer}`)];
  const lines = rowsOf(measurements)
    .filter((row) => row.rtt === rtt)
    .map((row) => cells(row, shown, peers));
  return markdownTable(columns, lines);
}

function cells(row: Row, shown: readonly string[], peers: readonly string[]): readonly string[] {
  const mine = row.byPeer.get(SUBJECT);
  const [fewest, most] = runsOf(row);
  return [
    `${row.scenario}, ${row.metric}`,
    row.unit,
    fewest === most ? `${most}` : `${fewest}–${most}`,
    ...shown.map((peer) => cell(row.byPeer.get(peer))),
    ...peers.map((peer) => times(ratio(mine, row.byPeer.get(peer)))),
  ];
}

export function targetTable(judgements: readonly Judgement[]): string {
  const lines = judgements.map(({ target: { label, rtt, wanted }, found, verdict }) => {
    const goal =
      'atMost' in wanted ? `at most ${figure(wanted.atMost)}` : `${figure(wanted.ratio)} × ${wanted.peer}`;
    return [label, `${rtt} ms`, goal, found === null ? '–' : figure(found), verdict];
  });
  return markdownTable(['target', 'round trip', 'wanted', 'found', 'verdict'], lines);
}

function failures(measurements: readonly Measurement[]): readonly string[] {
  const lines = measurements
    .filter(({ failure }) => failure !== null)
    .map(
      ({ peer, scenario, rtt, failure }) => `- ${peer}, ${scenario}, ${rtt} ms: ${oneLine(failure ?? '')}`,
    );
  return lines.length === 0 ? [] : ['## Failures', [...new Set(lines)].join('\n')];
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, 200);
}

function markdownTable(columns: readonly string[], lines: readonly (readonly string[])[]): string {
  const line = (fields: readonly string[]) =>
    `| ${fields.map((field) => field.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...lines.map(line)].join('\n');
}
