/** The options as text for people: `--help` from the same table the parser reads. */
import { FOREIGN, type ForeignWord } from './foreign.js';
import { formatSize, type Group, type Option } from './kinds.js';
import { SCHEMA } from './schema.js';

/** One row of the reference. */
export interface OptionEntry {
  readonly group: Group | 'Without effect' | 'Not supported';
  /** As it is written after -o: `port=N`, `ro / rw`. */
  readonly usage: string;
  readonly names: readonly string[];
  readonly help: string;
  /** The default as it would be written, or an empty string where there is none. */
  readonly fallback: string;
}

/** Every option word, in the order of the reference. */
export function optionEntries(): OptionEntry[] {
  const ours = (Object.values(SCHEMA) as readonly Option<unknown>[]).map(ownEntry);
  return [...ours, ...FOREIGN.map(foreignEntry)];
}

function ownEntry(option: Option<unknown>): OptionEntry {
  const name = option.names[0] ?? '';
  const words = Object.keys(option.words);
  const bare = words.filter((word) => !option.names.slice(1).includes(word));
  const isSize = option.placeholder === 'SIZE';
  const usage =
    isBoolean(option) && name === name.toLowerCase() ? bare.join(' / ') : `${name}=${option.placeholder}`;
  return {
    group: option.group,
    usage,
    names: [...new Set([...option.names, ...words])],
    help: option.help,
    fallback: showDefault(option, isSize),
  };
}

function isBoolean(option: Option<unknown>): boolean {
  return typeof option.fallback === 'boolean';
}

function showDefault({ fallback }: Option<unknown>, isSize: boolean): string {
  if (fallback === null) return '';
  if (typeof fallback === 'boolean') return fallback ? 'yes' : 'no';
  if (typeof fallback === 'number') return isSize ? formatSize(fallback) : String(fallback);
  return Array.isArray(fallback) ? fallback.join(' ') : String(fallback);
}

function foreignEntry(word: ForeignWord): OptionEntry {
  const group = word.effect === 'refused' ? 'Not supported' : 'Without effect';
  return { group, usage: word.names.join(', '), names: word.names, help: word.reason, fallback: '' };
}

/** The options with an effect, grouped and wrapped for a terminal `width` columns wide. */
export function optionHelp(width = 80): string {
  const entries = optionEntries().filter(
    ({ group }) => group !== 'Not supported' && group !== 'Without effect',
  );
  const lines: string[] = [];
  for (const group of new Set(entries.map((entry) => entry.group))) {
    lines.push(`${lines.length === 0 ? '' : '\n'}${group}:`);
    for (const entry of entries) if (entry.group === group) lines.push(...helpLines(entry, width));
  }
  return `${lines.join('\n')}\n`;
}

const COLUMN = 34;

function helpLines({ usage, help, fallback }: OptionEntry, width: number): string[] {
  const full = fallback === '' || fallback === 'no' ? help : `${help} (default ${fallback})`;
  const wrapped = wrap(full, Math.max(20, width - COLUMN));
  const head = `  ${usage}`;
  const indent = ' '.repeat(COLUMN);
  const first = head.length < COLUMN - 1 ? [head.padEnd(COLUMN) + (wrapped.shift() ?? '')] : [head];
  return [...first, ...wrapped.map((line) => indent + line)];
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return line === '' ? lines : [...lines, line];
}
