/**
 * The kinds of value an option takes. Each is a pure reader: the text after `=` in, a typed value out, or
 * an `OptionError` that names the option and the values it allows. A definition tells people, too, what the
 * option is for, so that parser and words cannot disagree.
 */
import { OptionError } from './errors.js';

export type Group = 'Connection' | 'Recovery' | 'Ownership' | 'Mount' | 'Caching';

/** One option that has an effect. `T` is the type of its value in `MountOptions`. */
export interface Option<T> {
  readonly group: Group;
  /** Names that take `=value`, the first being the one documented. Mixed case marks a word of ssh_config. */
  readonly names: readonly string[];
  /** Bare words and the value each stands for: `rw` means read-only false. */
  readonly words: Readonly<Record<string, T>>;
  /** What a value looks like, for people: `SECONDS`, `yes|no`. Empty for an option of bare words alone. */
  readonly placeholder: string;
  readonly help: string;
  readonly fallback: T;
  /** Reads one value; `before` is what earlier occurrences gave, for options that may be repeated. */
  read(name: string, text: string, before: T | undefined): T;
}

/** Options by their key in `MountOptions`. */
export type Options = Readonly<Record<string, Option<unknown>>>;

/** A day in seconds, the most a span of time may be: more is a mistake rather than a wish. */
export const DAY = 86_400;

interface Description {
  readonly group: Group;
  readonly names: readonly string[];
  readonly help: string;
}

interface Bounds {
  readonly min: number;
  readonly max: number;
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

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
function formatSize(bytes: number): string {
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
  return { ...description, words, placeholder: 'yes|no', read: readBoolean };
}

export function integer<T extends number | null>(
  description: Description & Bounds & { readonly fallback: T },
): Option<number | T> {
  return {
    ...description,
    words: {},
    placeholder: 'N',
    read: (name, text) => {
      if (!/^\d{1,15}$/.test(text)) {
        refuse(name, text, `it is a whole number from ${description.min} to ${description.max}`);
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
    words: description.words ?? {},
    placeholder: 'SIZE',
    read: (name, text) => {
      const match = /^(\d{1,12})([kmg]?)(?:i?b)?$/i.exec(text);
      if (match === null) {
        const range = `${formatSize(description.min)} to ${formatSize(description.max)}`;
        refuse(name, text, `it is a number of bytes, with K, M or G if you like, from ${range}`);
      }
      const unit = UNITS[(match[2] ?? '').toLowerCase()] ?? 1;
      return within(name, text, Number(match[1]) * unit, description, formatSize);
    },
  };
}

/** A span of time in seconds, which may be a fraction. */
export function seconds<T extends number | null>(
  description: Description & Bounds & { readonly fallback: T; readonly words?: Record<string, number> },
): Option<number | T> {
  return {
    ...description,
    words: description.words ?? {},
    placeholder: 'SECONDS',
    read: (name, text) => {
      if (!/^\d{1,12}(\.\d{1,9})?$/.test(text)) {
        refuse(name, text, `it is a number of seconds from ${description.min} to ${description.max}`);
      }
      return within(name, text, Number(text), description);
    },
  };
}

/** Permission bits in octal, 0 to 777. */
export function octal(description: Description): Option<number | null> {
  return {
    ...description,
    words: {},
    placeholder: 'OCTAL',
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
    words: {},
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
  },
): Option<T> {
  return {
    ...description,
    words: description.words ?? {},
    placeholder: description.choices.join('|'),
    read: (name, value) => {
      const chosen = description.choices.find((each) => each === value.toLowerCase());
      return chosen ?? refuse(name, value, `it is one of ${description.choices.join(', ')}`);
    },
  };
}

/** Several values; `separator` splits one occurrence, and `repeatable` makes occurrences add up. */
export function list(
  description: Description & {
    readonly separator: RegExp | null;
    readonly repeatable: boolean;
    readonly placeholder: string;
    readonly fallback: readonly string[];
  },
): Option<readonly string[]> {
  return {
    ...description,
    words: {},
    read: (name, value, before) => {
      const items = description.separator === null ? [value] : value.split(description.separator);
      const given = items.filter((item) => item !== '');
      if (given.length === 0) refuse(name, value, 'it must not be empty');
      return description.repeatable ? [...(before ?? []), ...given] : given;
    },
  };
}
