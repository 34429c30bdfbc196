/**
 * TOML as a tree of tables, and where in the text a key stands. The parser tells places only of what is no TOML;
 * the line of anything else is found by asking it at which line the key first appears.
 */
import { parse, TomlError } from 'smol-toml';
import { OptionError } from './errors.js';

export type TomlTable = Readonly<Record<string, unknown>>;

/** @throws OptionError with `path` and the line. */
export function parseToml(text: string, path: string): TomlTable {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [, reason = 'it is no TOML'] = /^Invalid TOML document: (.*)/.exec(error.message) ?? [];
    throw new OptionError(`${path}:${error.line}: ${reason}`);
  }
}

export function isTable(value: unknown): value is TomlTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** The line, from 1, on which the entry at `keys` begins; `text` is TOML and has it. */
export function lineOf(text: string, keys: readonly string[]): number {
  const lines = text.split('\n');
  // A value of several lines is no TOML until its end; it begins behind the last text that was.
  let complete = 0;
  for (let count = 1; count <= lines.length; count++) {
    const table = tryParse(lines.slice(0, count).join('\n'));
    if (table === null) continue;
    if (holds(table, keys)) return complete + 1;
    complete = count;
  }
  return lines.length;
}

function tryParse(text: string): TomlTable | null {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

function holds(table: TomlTable, keys: readonly string[]): boolean {
  let value: unknown = table;
  for (const key of keys) {
    if (!isTable(value) || !Object.hasOwn(value, key)) return false;
    value = value[key];
  }
  return true;
}
