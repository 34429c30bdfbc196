/**
 * TOML as a tree of tables, and where in the text a key stands. The parser tells places only of what is no TOML. For
 * the line of anything else the text is cut into its statements, and each is parsed by itself below its table's header.
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

/** What may hide the end of a statement: strings and comments; brackets; and the end of a line. */
const TOKENS =
  /"""(?:[^"\\]+|\\.|"(?!""))*"{3,5}|'''(?:[^']+|'(?!''))*'{3,5}|"(?:[^"\\]+|\\.)*"|'[^']*'|#[^\n]*|[[\]{}]|\n/gs;

interface Statement {
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

/** The headers, pairs, comments and empty lines of `text`, which is TOML. */
function* statements(text: string): Generator<Statement> {
  let [start, line, newlines, depth] = [0, 1, 0, 0];
  for (const { 0: token, index } of text.matchAll(TOKENS)) {
    if (token === '[' || token === '{') depth++;
    else if (token === ']' || token === '}') depth--;
    newlines += token.split('\n').length - 1;
    if (token !== '\n' || depth > 0) continue;
    yield { line, text: text.slice(start, index + 1) };
    [start, line] = [index + 1, newlines + 1];
  }
  yield { line, text: text.slice(start) };
}

/** The line, from 1, on which the entry at `keys` begins; `text` is TOML and has it. */
export function lineOf(text: string, keys: readonly string[]): number {
  let header = '';
  for (const { line, text: statement } of statements(text)) {
    const isHeader = /^\s*\[/.test(statement);
    if (isHeader) header = statement;
    const table = parse(isHeader ? header : header + statement);
    if (holds(table, keys)) return line;
  }
  return 1;
}

function holds(table: TomlTable, keys: readonly string[]): boolean {
  let value: unknown = table;
  for (const key of keys) {
    if (!isTable(value) || !Object.hasOwn(value, key)) return false;
    value = value[key];
  }
  return true;
}
