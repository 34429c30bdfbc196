/** The schema of options as rows for people, the same for every document. */
import { FOREIGN, type ForeignWord } from '../../src/config/foreign.js';
import { formatSize, type Group, type Option } from '../../src/config/kinds.js';
import { sshKeywordOf } from '../../src/config/parse.js';
import { FOREVER } from '../../src/config/schema/recovery.js';
import { SCHEMA } from '../../src/config/schema.js';
import { SSH_KEYWORDS, type SshKeyword } from '../../src/config/ssh-keywords.js';
import { isWordOfSshfs } from './sshfs-options.js';

export interface OptionRow {
  /** `port=N`, `ro`, `rw`: the documented name first. */
  readonly spellings: readonly string[];
  /** What a value may be. */
  readonly value: string;
  /** Empty where there is none, or where the text says what is done instead. */
  readonly fallback: string;
  /** Whose option it is: `sshfs`, `ssh`, both, or nobody's but Remora's. */
  readonly origin: string;
  readonly help: string;
  readonly more: string | null;
}

export const GROUPS: readonly Group[] = ['Connection', 'Recovery', 'Ownership', 'Mount', 'Caching'];

export function optionRows(group: Group): readonly OptionRow[] {
  return Object.values<Option<unknown>>(SCHEMA)
    .filter((option) => option.group === group)
    .map((option) => ({
      spellings: describeNames(option),
      value: describeValue(option),
      fallback: describeFallback(option),
      origin: describeOrigin(option),
      help: option.help,
      more: option.more ?? null,
    }));
}

function describeNames({ names, words, type, placeholder }: Option<unknown>): readonly string[] {
  const bare = Object.keys(words).filter((word) => !names.includes(word));
  if (type === 'flag') return [...names, ...bare];
  const placeholders = type === 'choice' ? '…' : placeholder;
  const alone = names.filter((name) => Object.hasOwn(words, name));
  return [...names.map((name) => `${name}=${placeholders}`), ...alone, ...bare];
}

function describeValue({ type, choices, range, repeatable }: Option<unknown>): string {
  switch (type) {
    case 'flag':
    case 'choice':
      return choices.join(', ');
    case 'time':
      return `seconds, ${range}`;
    case 'size':
      return `bytes, ${range}`;
    case 'octal':
      return `octal, ${range}`;
    case 'number':
      return range ?? '';
    case 'list':
      return 'list';
    case 'files':
      return 'files';
    case 'file':
      return repeatable === true ? 'file, repeatable' : 'file';
    case 'text':
      return 'text';
  }
}

function describeFallback({ type, fallback }: Option<unknown>): string {
  if (typeof fallback === 'boolean') return fallback ? 'yes' : 'no';
  if (fallback === FOREVER) return 'for ever';
  if (typeof fallback === 'number') return type === 'size' ? formatSize(fallback) : String(fallback);
  if (Array.isArray(fallback)) return fallback.join(type === 'list' ? ',' : ' ');
  return typeof fallback === 'string' ? fallback : '';
}

function describeOrigin(option: Option<unknown>): string {
  const bySshfs = [...option.names, ...Object.keys(option.words)].some(isWordOfSshfs);
  const bySsh = sshKeywordOf(option) !== null;
  return [bySshfs ? 'sshfs' : '', bySsh ? 'ssh' : ''].filter((origin) => origin !== '').join(', ');
}

/** Words that have the same reason. */
export type ReasonRow = readonly [reason: string, names: readonly string[]];

export function foreignRows(effect: ForeignWord['effect']): readonly ReasonRow[] {
  return grouped(FOREIGN.filter((word) => word.effect === effect));
}

export function keywordRows(effect: SshKeyword['effect']): readonly ReasonRow[] {
  return grouped(SSH_KEYWORDS.filter((keyword) => keyword.effect === effect));
}

function grouped(
  words: readonly { readonly names: readonly string[]; readonly reason: string }[],
): readonly ReasonRow[] {
  const byReason = new Map<string, string[]>();
  for (const { names, reason } of words) byReason.set(reason, [...(byReason.get(reason) ?? []), ...names]);
  return [...byReason];
}
