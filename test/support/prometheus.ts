/**
 * A strict reader of Prometheus's text format 0.0.4: whatever is not written as the format has it throws. Beyond its
 * grammar it wants what a scraper needs: no series twice, and buckets of a histogram that are cumulative and complete.
 */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const HELP = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\]|\\\\|\\n)*)$/;
const TYPE = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped)$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|\+?Inf)|NaN)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let rest = text; rest !== ''; ) {
    const [whole = '', name = '', value = ''] = LABEL.exec(rest) ?? [];
    if (whole === '') throw new Error(`no label: ${rest}`);
    if (name in labels) throw new Error(`a label twice: ${name}`);
    labels[name] = value.replace(/\\(["\\n])/g, (_, char: string) => (char === 'n' ? '\n' : char));
    rest = rest.slice(whole.length);
  }
  return labels;
}

const numberOf = (text: string) => Number(text.replace('Inf', 'Infinity'));

function checkHistogram(family: string, samples: readonly Sample[]): void {
  const series = new Map<string, Map<string, number>>();
  for (const { name, labels, value } of samples) {
    const { le = '', ...others } = labels;
    const key = JSON.stringify(others);
    const values = series.get(key) ?? new Map<string, number>();
    series.set(key, values.set(name === `${family}_bucket` ? `le ${le}` : name, value));
  }
  for (const values of series.values()) {
    const buckets = [...values].filter(([name]) => name.startsWith('le '));
    const bounds = buckets.map(([name]) => numberOf(name.slice(3)));
    const counts = buckets.map(([, count]) => count);
    const ascends = (numbers: readonly number[]) =>
      numbers.every((each, at) => each >= (numbers[at - 1] ?? -1));
    if (!ascends(bounds) || !ascends(counts)) throw new Error(`${family}: buckets are not cumulative`);
    const count = values.get(`${family}_count`);
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY || counts.at(-1) !== count || count === undefined) {
      throw new Error(`${family}: the last bucket does not hold all`);
    }
    if (!values.has(`${family}_sum`)) throw new Error(`${family}: no sum`);
  }
}

/** The families of `text`, by name. */
export function parseMetrics(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>();
  const seen = new Set<string>();
  let family: { type: string; help: string; samples: Sample[] } | null = null;
  let familyName = '';
  for (const line of text.slice(0, -1).split('\n')) {
    const [, helped, help = ''] = HELP.exec(line) ?? [];
    const [, typed, type = ''] = TYPE.exec(line) ?? [];
    const [, name = '', labelText = '', value = ''] = SAMPLE.exec(line) ?? [];
    if (helped !== undefined) {
      if (families.has(helped)) throw new Error(`a family twice: ${helped}`);
      familyName = helped;
      family = { type: '', help, samples: [] };
      families.set(helped, family);
    } else if (typed !== undefined) {
      if (family === null || typed !== familyName || family.type !== '' || family.samples.length > 0)
        throw new Error(`a type out of place: ${line}`);
      family.type = type;
    } else if (name !== '') {
      const suffixes = family?.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
      if (family === null || !suffixes.some((suffix) => name === familyName + suffix))
        throw new Error(`a sample out of place: ${line}`);
      const labels = labelsOf(labelText);
      const key = JSON.stringify([name, Object.entries(labels).sort()]);
      if (seen.has(key)) throw new Error(`a series twice: ${line}`);
      seen.add(key);
      family.samples.push({ name, labels, value: numberOf(value) });
    } else throw new Error(`no line of the format: ${line}`);
  }
  for (const [name, { type, samples }] of families) if (type === 'histogram') checkHistogram(name, samples);
  return families;
}
