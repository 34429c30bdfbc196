/**
 * The kinds of value an option takes. Each is a pure reader: the text after `=` in, a typed value out, or
 * an `OptionError` that names the option and the values it allows. A definition tells people, too, what the
 * option is for and what it may be, so that parser, pages and completions cannot disagree.
 */
import { join } from 'node:path';
import { OptionError } from './errors.js';

export type Group = 'Connection' | 'Recovery' | 'Ownership' | 'Mount' | 'Caching';

/** What a value is: how pages show it, what completes it, and how the items of a list are put together. */
export type ValueType =
  | 'flag'
  | 'number'
  | 'size'
  | 'time'
  | 'octal'
  | 'text'
  | 'choice'
  | 'list'
  | 'file'
  | 'files';

/** One option that has an effect. `T` is the type of its value in `MountOptions`. */
export interface Option<T> {
  readonly group: Group;
  /** Names that take `=value`, the first being the one documented. Mixed case marks a word of ssh_config. */
  readonly names: readonly string[];
  /** Bare words and the value each stands for: `rw` means read-only false. */
  readonly words: Readonly<Record<string, T>>;
  /** What a value looks like, for people: `SECONDS`, `yes|no`. Empty for an option of bare words alone. */
  readonly placeholder: string;
  readonly type: ValueType;
  /** The values allowed, for people: `1 to 65535`. Null where the placeholder says it all. */
  readonly range: string | null;
  /** Every value there is, where they can be counted. */
  readonly choices: readonly string[];
  /** A sentence or two. */
  readonly help: string;
  /** A paragraph for the manual, where the sentence is not enough. */
  readonly more?: string;
  readonly fallback: T;
  /** Reads one value; `before` is what earlier occurrences gave, for options that may be repeated. */
  read(name: string, text: string, before: T | undefined): T;
  /** Occurrences add up, rather than the latest one being the one that counts. */
  readonly repeatable?: boolean;
  /** The text of a value as ssh understands it, where that may differ from what is accepted here. */
  readonly forSsh?: (text: string) => string;
  /** The value names files, which may be relative to the working directory. */
  readonly namesFiles?: true;
}

/** Options by their key in `MountOptions`. */
export type Options = Readonly<Record<string, Option<unknown>>>;

/** A day in seconds, the most a span of time may be: more is a mistake rather than a wish. */
export const DAY = 86_400;

interface Description {
  readonly group: Group;
  readonly names: readonly string[];
  readonly help: string;
  readonly more?: string;
}

interface Bounds {
  readonly min: number;
  readonly max: number;
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** What a kind says of its values, where it is nothing special. */
const PLAIN = { words: {}, range: null, choices: [] } as const;

const rangeOf = ({ min, max }: Bounds, show: (value: number) => string = String) =>
  `${show(min)} to ${show(max)}`;

function refuse(name: string, text: string, allowed: string): never {
  throw new OptionError(`option '${name}' cannot be '${text}': ${allowed}`);
}

function within(
  name: string,
  text: string,
  value: number,
  { min, max }: Bounds,
  show: (value: number) => string = String,
): number {
  if (value < min || value > max) refuse(name, text, `the range is ${show(min)} to ${show(max)}`);
  return value;
}

/** yes/no as ssh_config and sshfs write them. */
function readBoolean(name: string, text: string): boolean {
  switch (text.toLowerCase()) {
    case 'yes':
    case 'true':
    case 'on':
    case '1':
      return true;
    case 'no':
    case 'false':
    case 'off':
    case '0':
      return false;
    default:
      return refuse(name, text, 'it is yes or no');
  }
}

/** A size in bytes as people write it: `256M`, `1G`; the suffixes are powers of 1024. */
export function formatSize(bytes: number): string {
  for (const suffix of ['g', 'm', 'k']) {
    const unit = UNITS[suffix] ?? 1;
    if (bytes >= unit && bytes % unit === 0) return `${bytes / unit}${suffix.toUpperCase()}`;
  }
  return String(bytes);
}

/** On or off: the first name alone means on, `off` words mean off, `name=yes|no` either. */
export function flag(
  description: Description & { readonly off?: readonly string[]; readonly fallback: boolean },
): Option<boolean> {
  const words: Record<string, boolean> = {};
  for (const name of description.names) words[name] = true;
  for (const name of description.off ?? []) words[name] = false;
  const forSsh = (text: string) => (readBoolean('', text) ? 'yes' : 'no');
  return {
    ...description,
    ...PLAIN,
    words,
    type: 'flag',
    placeholder: 'yes|no',
    choices: ['yes', 'no'],
    read: readBoolean,
    forSsh,
  };
}

export function integer<T extends number | null>(
  description: Description & Bounds & { readonly fallback: T },
): Option<number | T> {
  return {
    ...description,
    ...PLAIN,
    type: 'number',
    placeholder: 'N',
    range: rangeOf(description),
    read: (name, text) => {
      if (!/^\d{1,15}$/.test(text)) {
        refuse(name, text, `it is a whole number from ${rangeOf(description)}`);
      }
      return within(name, text, Number(text), description);
    },
  };
}

/** Bytes, with an optional K, M or G. */
export function size<T extends number | null>(
  description: Description & Bounds & { readonly fallback: T; readonly words?: Record<string, number> },
): Option<number | T> {
  return {
    ...description,
    ...PLAIN,
    words: description.words ?? {},
    type: 'size',
    placeholder: 'SIZE',
    range: rangeOf(description, formatSize),
    read: (name, text) => {
      const match = /^(\d{1,12})([kmg]?)(?:i?b)?$/i.exec(text);
      if (match === null) {
        const range = rangeOf(description, formatSize);
        refuse(name, text, `it is a number of bytes, with K, M or G if you like, from ${range}`);
      }
      const unit = UNITS[(match[2] ?? '').toLowerCase()] ?? 1;
      return within(name, text, Number(match[1]) * unit, description, formatSize);
    },
  };
}

/** Seconds of each unit of ssh's times, such as `1h30m` (sshd_config(5), TIME FORMATS). */
const TIME_UNITS: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** A span of time as ssh_config has it: whole seconds, or numbers with units. */
export function interval(description: Description & Bounds & { readonly fallback: number }): Option<number> {
  return {
    ...description,
    ...PLAIN,
    type: 'time',
    placeholder: 'SECONDS',
    range: rangeOf(description),
    read: (name, text) => {
      if (!/^(\d{1,9}[smhdw]?)+$/i.test(text)) {
        const range = rangeOf(description);
        refuse(name, text, `it is a whole number of seconds, or a time such as 1m30s, from ${range}`);
      }
      let sum = 0;
      for (const [, number, unit = ''] of text.matchAll(/(\d+)([a-z]?)/gi)) {
        sum += Number(number) * (TIME_UNITS[unit.toLowerCase()] ?? 1);
      }
      return within(name, text, sum, description);
    },
  };
}

/** A span of time in seconds, which may be a fraction. */
export function seconds<T extends number | null>(
  description: Description & Bounds & { readonly fallback: T; readonly words?: Record<string, number> },
): Option<number | T> {
  return {
    ...description,
    ...PLAIN,
    words: description.words ?? {},
    type: 'time',
    placeholder: 'SECONDS',
    range: rangeOf(description),
    read: (name, text) => {
      if (!/^\d{1,12}(\.\d{1,9})?$/.test(text)) {
        refuse(name, text, `it is a number of seconds from ${rangeOf(description)}`);
      }
      return within(name, text, Number(text), description);
    },
  };
}

/** Permission bits in octal, 0 to 777. */
export function octal(description: Description): Option<number | null> {
  return {
    ...description,
    ...PLAIN,
    type: 'octal',
    placeholder: 'OCTAL',
    range: '0 to 777',
    fallback: null,
    read: (name, text) => {
      if (!/^0?[0-7]{1,3}$/.test(text)) refuse(name, text, 'it is an octal number from 0 to 777');
      return Number.parseInt(text, 8);
    },
  };
}

export function text<T extends string | null>(
  description: Description & { readonly fallback: T; readonly placeholder: string },
): Option<string | T> {
  return {
    ...description,
    ...PLAIN,
    type: 'text',
    read: (name, value) => {
      if (value === '' || value.includes('\0')) refuse(name, value, 'it must not be empty');
      return value;
    },
  };
}

export function choice<const T extends string>(
  description: Description & {
    readonly choices: readonly T[];
    readonly fallback: T;
    readonly words?: Readonly<Record<string, T>>;
    /** Other spellings of a value. */
    readonly synonyms?: Readonly<Record<string, T>>;
  },
): Option<T> {
  const { choices, synonyms = {} } = description;
  return {
    ...description,
    ...PLAIN,
    words: description.words ?? {},
    type: 'choice',
    choices,
    placeholder: choices.join('|'),
    read: (name, value) => {
      const text = value.toLowerCase();
      const chosen = choices.find((each) => each === text);
      if (chosen !== undefined) return chosen;
      const meant = Object.hasOwn(synonyms, text) ? synonyms[text] : undefined;
      return meant ?? refuse(name, value, `it is one of ${choices.join(', ')}`);
    },
  };
}

/** Names in an order, separated by commas. */
export function list(
  description: Description & { readonly placeholder: string; readonly fallback: readonly string[] },
): Option<readonly string[]> {
  return {
    ...description,
    ...PLAIN,
    type: 'list',
    read: (name, value) => {
      const given = value.split(/[,\s]+/).filter((item) => item !== '');
      if (given.length === 0) refuse(name, value, 'it must not be empty');
      return given;
    },
  };
}

/** Text without the double quotes that ssh_config allows around it. */
function unquoted(name: string, text: string): string {
  const inner = /^"([^"]*)"$/.exec(text)?.[1] ?? text;
  if (inner === '' || inner.includes('\0')) refuse(name, text, 'it must not be empty');
  return inner;
}

/** ssh ends an argument at a space unless there are quotes around it. */
function quoted(text: string): string {
  return /\s/.test(text) && !text.includes('"') ? `"${text}"` : text;
}

/** A shared library: a name without a slash is looked for where libraries are. */
export function library<T extends string | null>(
  description: Description & { readonly fallback: T; readonly placeholder: string },
): Option<string | T> {
  return { ...description, ...PLAIN, type: 'file', read: unquoted, forSsh: quoted };
}

/** One file; quotes around it are allowed, and needed nowhere. */
export function path<T extends string | null>(
  description: Description & { readonly fallback: T; readonly placeholder: string },
): Option<string | T> {
  return { ...library(description), namesFiles: true };
}

/** What stands in the place of a file (ssh_config(5): IdentityFile, IdentityAgent). */
const NO_FILE = /^(?:none|SSH_AUTH_SOCK)$/;

/** Files in ssh's spelling, with those that are relative taken from `directory`. */
export function filesFrom(directory: string, text: string): string {
  return text.replace(/"([^"]*)"|[^\s"]+/g, (word, inQuotes?: string) => {
    const file = inQuotes ?? word;
    return /^[/~%$]/.test(file) || NO_FILE.test(file) ? word : quoted(join(directory, file));
  });
}

/** Files that are named one at a time. */
export function eachPath(description: Description): Option<readonly string[]> {
  return {
    ...description,
    ...PLAIN,
    type: 'file',
    placeholder: 'FILE',
    fallback: [],
    repeatable: true,
    read: (name, text, before) => [...(before ?? []), unquoted(name, text)],
    forSsh: quoted,
    namesFiles: true,
  };
}

/**
 * Files that are named together, separated by spaces, those with spaces in quotes. `ssh -G` leaves the quotes out, so
 * a word that no path would begin with belongs to the one before it.
 */
export function paths(
  description: Description & { readonly fallback: readonly string[] },
): Option<readonly string[]> {
  return {
    ...description,
    ...PLAIN,
    type: 'files',
    placeholder: 'FILES',
    namesFiles: true,
    read: (name, text) => {
      const found: string[] = [];
      for (const [, inQuotes, bare = ''] of text.matchAll(/"([^"]*)"|([^\s"]+)/g)) {
        const last = found.at(-1);
        const isFile = inQuotes !== undefined || last === undefined || /^([/~%$]|none$)/.test(bare);
        if (isFile) found.push(inQuotes ?? bare);
        else found[found.length - 1] = `${last} ${bare}`;
      }
      if (found.length === 0) refuse(name, text, 'it must not be empty');
      return found;
    },
  };
}
