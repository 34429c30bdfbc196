/**
 * `-o` strings to `MountOptions`. Strings are split as libfuse splits them (commas, with backslash
 * escapes); each word is looked up in the schema, then among the foreign words; anything else is refused
 * with the nearest known name. A later occurrence overrides an earlier one.
 */
import { logger } from '../base/log.js';
import { OptionError } from './errors.js';
import { FOREIGN, type ForeignWord } from './foreign.js';
import type { Option } from './kinds.js';
import { nearest } from './nearest.js';
import { type GivenOptions, type OptionKey, SCHEMA } from './schema.js';

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

/** What an option says about any type of value; the key ties it to its own type again. */
type AnyOption = Option<unknown>;

const ENTRIES = Object.entries(SCHEMA) as readonly (readonly [OptionKey, AnyOption])[];

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

function knownNames(): string[] {
  const ours = ENTRIES.flatMap(([, option]) => [...option.names, ...Object.keys(option.words)]);
  return [...new Set([...ours, ...FOREIGN.flatMap((word) => word.names)])].filter((n) => !n.endsWith('*'));
}

/**
 * Reads the arguments of every `-o`, in order.
 * @throws OptionError for a name that is unknown or not supported, and for a value out of its range.
 */
export function parseMountOptions(strings: readonly string[]): MountOptions {
  const given = new Map<OptionKey, unknown>();
  for (const word of strings.flatMap(parseOptionString)) applyWord(given, word);
  const values: Record<string, unknown> = {};
  for (const [key, option] of ENTRIES) values[key] = given.has(key) ? given.get(key) : option.fallback;
  // Each value came from its own option's reader, so the record has the types the schema derives.
  const options = values as GivenOptions;
  return {
    ...options,
    dcacheStatTimeout: options.dcacheStatTimeout ?? options.dcacheTimeout,
    dcacheLinkTimeout: options.dcacheLinkTimeout ?? options.dcacheTimeout,
    dcacheDirTimeout: options.dcacheDirTimeout ?? options.dcacheTimeout,
  };
}

function applyWord(given: Map<OptionKey, unknown>, { name, value }: OptionWord): void {
  const shown = value === null ? name : `${name}=${value}`;
  if (name === 'modules' && value !== null) {
    checkModules(value);
    return;
  }
  if (name === 'idmap' && value === 'file') throw new OptionError("option 'idmap=file' is not supported yet");
  for (const [key, option] of ENTRIES) {
    if (value === null) {
      const bare = Object.entries(option.words).find(([known]) => sameName(known, name));
      if (bare !== undefined) {
        given.set(key, bare[1]);
        return;
      }
    } else {
      const known = option.names.find((each) => sameName(each, name));
      if (known !== undefined) {
        given.set(key, option.read(known, value, given.get(key)));
        return;
      }
    }
  }
  // `user` alone is a word of fstab and `user=NAME` one of ssh_config, so a bare name is foreign first.
  const foreign = findForeign(name);
  if (foreign?.effect === 'refused') {
    const verb = foreign.reason.startsWith('is ') ? foreign.reason : `is not supported: ${foreign.reason}`;
    throw new OptionError(`option '${name}' ${verb}`);
  }
  if (foreign !== undefined) {
    log("option '%s' has no effect: %s", shown, foreign.reason);
    return;
  }
  refuseUnknown(name, value, shown);
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
  const guess = nearest(name, knownNames());
  throw new OptionError(`unknown option '${shown}'${guess === null ? '' : `: did you mean '${guess}'?`}`);
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
