/**
 * The plot: one bar for each metric and peer, as long as the logarithm of how many times better Remora is, to
 * the right where it is better and to the left where it is worse. Its colours follow the reader's scheme,
 * light or dark, and it stands on a transparent ground. Pure.
 */

import { times } from './report.js';
import { peersOf, type Ratio, type Results, ratio, rowsOf, SUBJECT } from './results.js';

const WIDTH = 880;
const LABELS = 290;
/** Room for the figure behind the longest bar. */
const MARGIN = 80;
const BAR = 10;
const GAP = 9;
const TOP = 64;
const TITLE = 34;
/** Peers in the order of their colours; others are not drawn. */
const DRAWN = ['sshfs', 'rclone', 'sftp'];
/** Where the scale ends at the latest, so that one extreme does not flatten the rest. */
const EXTREMES = { low: 0.02, high: 200 };
const TICKS = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200];

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 14px; }
  .small { font-size: 10px; fill: #57606a; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .one { stroke: #57606a; stroke-width: 1.5; }
  .sshfs { fill: #0969da; } .rclone { fill: #bc4c00; } .sftp { fill: #8250df; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .small { fill: #9198a1; } .grid { stroke: #3d444d; } .one { stroke: #9198a1; }
    .sshfs { fill: #4493f8; } .rclone { fill: #f0883e; } .sftp { fill: #ab7df8; }
  }`;

interface Group {
  readonly label: string;
  readonly rtt: number;
  readonly bars: readonly { readonly peer: string; readonly ratio: Ratio }[];
}

/** The ratios that can be drawn; memory and processor time stand in the table. */
function groupsOf(results: Results, peers: readonly string[]): readonly Group[] {
  return rowsOf(results.measurements)
    .filter(({ unit }) => unit !== 'MiB' && unit !== 'CPU s/GiB')
    .map((row) => ({
      label: `${row.scenario}, ${row.metric}`,
      rtt: row.rtt,
      bars: peers.flatMap((peer) => {
        const found = ratio(row.byPeer.get(SUBJECT), row.byPeer.get(peer));
        return found === null ? [] : [{ peer, ratio: found }];
      }),
    }))
    .filter(({ bars }) => bars.length > 0);
}

export function svg(results: Results): string {
  const peers = peersOf(results.measurements).filter((peer) => DRAWN.includes(peer));
  const groups = groupsOf(results, peers);
  const values = groups.flatMap(({ bars }) => bars.map((bar) => clamped(bar.ratio.value)));
  const low = Math.log10(Math.min(0.5, ...values));
  const high = Math.log10(Math.max(2, ...values));
  const x = (value: number) =>
    LABELS + ((Math.log10(clamped(value)) - low) / (high - low)) * (WIDTH - LABELS - MARGIN);

  const shapes: string[] = [];
  let y = TOP;
  for (const [index, group] of groups.entries()) {
    if (group.rtt !== groups[index - 1]?.rtt) {
      y += TITLE;
      const title = group.rtt === 0 ? 'no delay' : `round trip of ${group.rtt} ms`;
      shapes.push(text(0, y - GAP, title, 'title'));
    }
    const height = group.bars.length * BAR;
    shapes.push(text(LABELS - 10, y + height / 2 + 4, group.label, '', 'end'));
    for (const { peer, ratio: found } of group.bars) {
      const [from, to] = [Math.min(x(1), x(found.value)), Math.max(x(1), x(found.value))];
      const width = Math.max(1, to - from);
      shapes.push(
        `<rect class="${peer}" x="${round(from)}" y="${y}" width="${round(width)}" height="${BAR - 1}"/>`,
        text(to + 4, y + BAR - 1, times(found), 'small'),
      );
      y += BAR;
    }
    y += GAP;
  }

  const ticks = TICKS.filter((tick) => Math.log10(tick) >= low && Math.log10(tick) <= high);
  const grid = ticks.flatMap((tick) => [
    `<line class="${tick === 1 ? 'one' : 'grid'}" x1="${round(x(tick))}" x2="${round(x(tick))}" y1="${TOP}" y2="${y}"/>`,
    text(x(tick), TOP - 6, `${tick} ×`, 'small', 'middle'),
  ]);
  const legend = peers.flatMap((peer, index) => [
    `<rect class="${peer}" x="${LABELS + index * 110}" y="26" width="12" height="12"/>`,
    text(LABELS + index * 110 + 18, 36, `than ${peer}`),
  ]);
  const title = 'How many times better Remora is (logarithmic)';
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + GAP}" width="${WIDTH}" height="${y + GAP}" role="img">`,
    `<title>${title}</title>`,
    `<style>${STYLE}\n</style>`,
    text(0, 14, title, 'title'),
    ...legend,
    ...grid,
    ...shapes,
    '</svg>',
  ]
    .join('\n')
    .concat('\n');
}

const clamped = (value: number) => Math.min(Math.max(value, EXTREMES.low), EXTREMES.high);
const round = (value: number) => Math.round(value * 10) / 10;

function text(x: number, y: number, content: string, style = '', anchor = 'start'): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const named = style === '' ? '' : ` class="${style}"`;
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"${named}>${escaped}</text>`;
}
