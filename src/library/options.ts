/**
 * Options as a program gives them, by their names in the schema and with values of their types. They become the words
 * of a `-o` string, so that ranges, spellings and what is told to the ssh program are those of the command line.
 */
import { OptionError } from '../config/errors.js';
import type { Option, ValueType } from '../config/kinds.js';
import { nearest } from '../config/nearest.js';
import { type ParsedOptions, parseOptions } from '../config/parse.js';
import { type GivenOptions, SCHEMA } from '../config/schema.js';
import { FLAG, type Kind, mustBe, NUMBER, TEXT, TEXTS } from './values.js';

/** What takes the standard input of the command is not for a program. */
type OfTheCommand = 'passive' | 'passwordStdin';

/**
 * Every option of a mount: `port`, `identityFiles`, `readOnly`, `serverAliveInterval`… Times are in seconds, sizes in
 * bytes; what is left out, undefined or null is as ssh's configuration has it, or Remora's default.
 */
export type Options = { readonly [K in Exclude<keyof GivenOptions, OfTheCommand>]?: GivenOptions[K] | null };

const ENTRIES: ReadonlyMap<string, Option<unknown>> = new Map(Object.entries(SCHEMA));
const OF_THE_COMMAND: readonly string[] = ['passive', 'passwordStdin'] satisfies OfTheCommand[];

/** What a program gives for each type of value; a file that may be given several times is one of several. */
const KINDS: Readonly<Record<ValueType, Kind>> = {
  flag: FLAG,
  number: NUMBER,
  size: NUMBER,
  time: NUMBER,
  octal: NUMBER,
  text: TEXT,
  choice: TEXT,
  list: TEXTS,
  file: TEXT,
  files: TEXTS,
};

/**
 * @param words further options in the spelling of `-o`, which win
 * @throws OptionError for a name that is unknown and a value of another type or out of its range
 */
export function readOptions(options: Options, words: readonly string[]): ParsedOptions {
  const parsed = parseOptions([...optionWords(options), ...words]);
  const wrong = OF_THE_COMMAND.find((key) => key in parsed.given);
  if (wrong !== undefined) throw new OptionError(`option '${wrong}' is for the command, not for a program`);
  return parsed;
}

/** The words of a `-o` string for `options`. */
export function optionWords(options: Options): string[] {
  return Object.entries(options).flatMap(([key, value]) => {
    const option = ENTRIES.get(key);
    if (option === undefined) {
      const guess = nearest(key, [...ENTRIES.keys()]);
      throw new OptionError(`unknown option '${key}'${guess === null ? '' : `: did you mean '${guess}'?`}`);
    }
    if (value === undefined || value === null) return [];
    mustBe(`option '${key}'`, option.repeatable === true ? TEXTS : KINDS[option.type], value);
    return spell(option, value);
  });
}

function spell(option: Option<unknown>, value: unknown): string[] {
  const bare = Object.entries(option.words).find(([, meaning]) => meaning === value);
  if (bare !== undefined) return [bare[0]];
  const [name = ''] = option.names;
  if (option.repeatable === true && Array.isArray(value)) return value.map((item) => word(name, item));
  return [word(name, spellValue(option, value))];
}

function spellValue({ placeholder }: Option<unknown>, value: unknown): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'number') return placeholder === 'OCTAL' ? value.toString(8) : String(value);
  if (!Array.isArray(value)) return String(value);
  return placeholder === 'FILES' ? value.map((file) => `"${file}"`).join(' ') : value.join(',');
}

/** Commas separate the words of a `-o` string, so those of a value are escaped. */
function word(name: string, value: unknown): string {
  return `${name}=${String(value).replace(/[\\,]/g, '\\$&')}`;
}
