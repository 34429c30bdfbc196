/**
 * `-o` strings to options. Strings are split as libfuse splits them (commas, with backslash escapes); each word
 * is looked up in the schema, then among ssh's keywords and the foreign words; anything else is refused with the
 * nearest known name. A later occurrence overrides an earlier one. What was given is kept apart from the defaults,
 * so that ssh_config can come between them.
 */
import { logger } from '../base/log.js';
import { OptionError } from './errors.js';
import { ELSEWHERE, FOREIGN, type ForeignWord } from './foreign.js';
import type { Option } from './kinds.js';
import { nearest } from './nearest.js';
import { type GivenOptions, type OptionKey, SCHEMA } from './schema.js';
import { SSH_KEYWORDS, type SshKeyword } from './ssh-keywords.js';

const log = logger('config');

/** One word of an option string: a bare name, or a name with its value. */
export interface OptionWord {
  readonly name: string;
  readonly value: string | null;
}

/** The options of one mount, every question answered. Times are seconds, sizes bytes. */
export type MountOptions = Omit<GivenOptions, InheritedTimeout> & {
  readonly [K in InheritedTimeout]: number;
};

type InheritedTimeout = 'dcacheStatTimeout' | 'dcacheLinkTimeout' | 'dcacheDirTimeout';

/** A word of ssh_config as it was given, with the name and in the spelling that ssh has for it. */
export interface SshWord {
  readonly keyword: string;
  readonly value: string;
  /** What the word is to Remora: an option of the schema, or the effect of a keyword that is none. */
  readonly effect: 'option' | SshKeyword['effect'];
  /** The value names files, which may be relative to the working directory. */
  readonly namesFiles: boolean;
}

/** The options that were given, and nothing else. */
export interface ParsedOptions {
  readonly given: Partial<GivenOptions>;
  readonly sshWords: readonly SshWord[];
}

/** What an option says about any type of value; the key ties it to its own type again. */
type AnyOption = Option<unknown>;

const ENTRIES = Object.entries(SCHEMA) as readonly (readonly [OptionKey, AnyOption])[];

/** The keyword of ssh_config that an option is, or null. */
export function sshKeywordOf(option: Pick<AnyOption, 'names'>): string | null {
  return option.names.find((name) => name !== name.toLowerCase()) ?? null;
}

/** Splits `ro,port=22,fsname=a\,b`: `\,` is a comma and `\\` a backslash; empty words are skipped. */
export function parseOptionString(text: string): OptionWord[] {
  const words: string[] = [];
  let word = '';
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (char === ',') {
      words.push(word);
      word = '';
    } else if (char === '\\' && i + 1 < text.length) {
      word += text.charAt(++i);
    } else {
      word += char;
    }
  }
  words.push(word);
  return words.filter((each) => each !== '').map(splitWord);
}

function splitWord(word: string): OptionWord {
  const equals = word.indexOf('=');
  if (equals < 0) return { name: word, value: null };
  return { name: word.slice(0, equals), value: word.slice(equals + 1) };
}

/** The option that `name=value` sets, or null. */
export function findOption(name: string): Option<unknown> | null {
  return ENTRIES.find(([, { names }]) => names.some((known) => sameName(known, name)))?.[1] ?? null;
}

/** Whether `name=yes` and `name=no` mean what they say; other names stand alone, or take a value of another kind. */
export function takesYesOrNo(name: string): boolean {
  const option = findOption(name);
  if (option === null) return findKeyword(name) !== null;
  return option.type === 'flag' || (option.type === 'choice' && sshKeywordOf(option) !== null);
}

/** Words of ssh_config (mixed case) are known in any case, all others exactly. */
function sameName(known: string, name: string): boolean {
  if (known === name) return true;
  return known !== known.toLowerCase() && known.toLowerCase() === name.toLowerCase();
}

function sameForeignName(known: string, name: string): boolean {
  return known.endsWith('*') ? name.startsWith(known.slice(0, -1)) : sameName(known, name);
}

function findForeign(name: string): ForeignWord | undefined {
  return FOREIGN.find((word) => word.names.some((known) => sameForeignName(known, name)));
}

function findKeyword(name: string): { readonly keyword: string; readonly entry: SshKeyword } | null {
  for (const entry of SSH_KEYWORDS) {
    const keyword = entry.names.find((known) => sameName(known, name));
    if (keyword !== undefined) return { keyword, entry };
  }
  return null;
}

/** Every name that means something, but for those that stand for many. */
export function knownNames(): string[] {
  const ours = ENTRIES.flatMap(([, option]) => [...option.names, ...Object.keys(option.words)]);
  const others = [...FOREIGN, ...SSH_KEYWORDS].flatMap((word) => word.names);
  return [...new Set([...ours, ...others])].filter((name) => !name.endsWith('*'));
}

/**
 * Reads the arguments of every `-o`, in order.
 * @throws OptionError for a name that is unknown or not supported, and for a value out of its range.
 */
export function parseOptions(strings: readonly string[]): ParsedOptions {
  return parseWords(strings.flatMap(parseOptionString));
}

/** {@link parseOptions} for words that are split already. */
export function parseWords(words: readonly OptionWord[]): ParsedOptions {
  const reading = new Reading();
  for (const word of words) reading.apply(word);
  return reading.result();
}

/**
 * `first` where it says something, else `then`. Occurrences that add up do so here, too, those of `first` before the
 * others; of ssh's words that are not options the first one counts, as for ssh.
 */
export function mergeOptions(first: ParsedOptions, then: ParsedOptions): ParsedOptions {
  const given: Record<string, unknown> = { ...then.given, ...first.given };
  const known = new Set(first.sshWords.map(({ keyword }) => keyword));
  const addsUp = new Set<string>();
  for (const [key, option] of ENTRIES) {
    if (option.repeatable !== true) continue;
    const keyword = sshKeywordOf(option);
    if (keyword !== null) addsUp.add(keyword);
    const all = [first.given[key], then.given[key]].flatMap((items) => (Array.isArray(items) ? items : []));
    if (all.length > 0) given[key] = all;
  }
  const others = then.sshWords.filter(({ keyword, effect }) => {
    return effect !== 'option' || addsUp.has(keyword) || !known.has(keyword);
  });
  // Each value is its own option's, of one side or the other.
  return { given: given as Partial<GivenOptions>, sshWords: [...first.sshWords, ...others] };
}

/** Every question answered: what is given, else the default. */
export function completeOptions(given: Partial<GivenOptions>): MountOptions {
  const values: Record<string, unknown> = {};
  for (const [key, option] of ENTRIES) values[key] = Object.hasOwn(given, key) ? given[key] : option.fallback;
  // Each value came from its own option's reader, so the record has the types the schema derives.
  const options = values as GivenOptions;
  return {
    ...options,
    dcacheStatTimeout: options.dcacheStatTimeout ?? options.dcacheTimeout,
    dcacheLinkTimeout: options.dcacheLinkTimeout ?? options.dcacheTimeout,
    dcacheDirTimeout: options.dcacheDirTimeout ?? options.dcacheTimeout,
  };
}

class Reading {
  readonly #given = new Map<OptionKey, unknown>();
  #sshWords: SshWord[] = [];

  result(): ParsedOptions {
    // As above: each value is its own option's.
    const given = Object.fromEntries(this.#given) as Partial<GivenOptions>;
    return { given, sshWords: this.#sshWords };
  }

  apply({ name, value }: OptionWord): void {
    const shown = value === null ? name : `${name}=${value}`;
    if (name === 'modules' && value !== null) {
      checkModules(value);
      return;
    }
    if (this.#applyOption(name, value) || this.#applyKeyword(name, value)) return;
    applyForeign(name, value, shown);
  }

  #applyOption(name: string, value: string | null): boolean {
    for (const [key, option] of ENTRIES) {
      if (value === null) {
        const bare = Object.entries(option.words).find(([known]) => sameName(known, name));
        if (bare === undefined) continue;
        this.#given.set(key, bare[1]);
        this.#tellSsh(option, bare[1] === false ? 'no' : 'yes');
        return true;
      }
      const known = option.names.find((each) => sameName(each, name));
      if (known === undefined) continue;
      this.#given.set(key, option.read(known, value, this.#given.get(key)));
      this.#tellSsh(option, option.forSsh?.(value) ?? value);
      return true;
    }
    return false;
  }

  /** For ssh the first occurrence counts, so there is only one. */
  #tellSsh(option: AnyOption, value: string): void {
    const keyword = sshKeywordOf(option);
    if (keyword === null) return;
    const isLatest = option.repeatable !== true;
    const before = this.#sshWords.filter((word) => !isLatest || word.keyword !== keyword);
    const namesFiles = option.namesFiles === true;
    this.#sshWords = [...before, { keyword, value, effect: 'option', namesFiles }];
  }

  #applyKeyword(name: string, value: string | null): boolean {
    const found = findKeyword(name);
    if (found === null) return false;
    const { keyword, entry } = found;
    if (value === null) throw new OptionError(`option '${keyword}' needs a value: ${keyword}=VALUE`);
    if (entry.effect !== 'resolution') log("option '%s' has no effect: %s", keyword, entry.reason);
    this.#sshWords.push({ keyword, value, effect: entry.effect, namesFiles: false });
    return true;
  }
}

function applyForeign(name: string, value: string | null, shown: string): void {
  // `user` alone is a word of fstab and `user=NAME` one of ssh_config, so a bare name is foreign first.
  const foreign = findForeign(name);
  if (foreign === undefined) refuseUnknown(name, value, shown);
  if (foreign.effect === 'refused') {
    const verb = foreign.reason.startsWith('is ') ? foreign.reason : `is not supported: ${foreign.reason}`;
    throw new OptionError(`option '${name}' ${verb}`);
  }
  log("option '%s' has no effect: %s", shown, foreign.reason);
}

function refuseUnknown(name: string, value: string | null, shown: string): never {
  for (const [, option] of ENTRIES) {
    const known = option.names.find((each) => sameName(each, name));
    if (known !== undefined)
      throw new OptionError(`option '${known}' needs a value: ${known}=${option.placeholder}`);
    if (value !== null && Object.keys(option.words).includes(name)) {
      throw new OptionError(`option '${name}' takes no value`);
    }
  }
  const guess = ELSEWHERE.get(name.toLowerCase().replace(/[_-]/g, '')) ?? nearest(name, knownNames());
  const hint = guess === null ? ' (see: docs/OPTIONS.md)' : `: did you mean '${guess}'?`;
  throw new OptionError(`unknown option '${shown}'${hint}`);
}

/** `modules=subdir` is the option `subdir` here; libfuse's other module changes names. */
function checkModules(value: string): void {
  for (const name of value.split(':')) {
    if (name === 'iconv') {
      throw new OptionError("option 'modules=iconv' is not supported: Remora passes names through as bytes");
    }
    if (name !== 'subdir') throw new OptionError(`unknown module '${name}': the one there is, is 'subdir'`);
  }
}
