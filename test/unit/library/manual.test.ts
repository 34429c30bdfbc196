/** The tables of docs/LIBRARY.md say what the schema and the exit codes say. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { EXIT } from '../../../src/cli/exit.js';
import type { Option } from '../../../src/config/kinds.js';
import { SCHEMA } from '../../../src/config/schema.js';

const MANUAL = readFileSync(new URL('../../../docs/LIBRARY.md', import.meta.url), 'utf8');

/** The rows below the heading that begins with `first`, each cell as the words in its backticks. */
function table(first: string): string[][][] {
  const [, body = ''] = MANUAL.split(`\n| ${first} |`);
  const [rows = ''] = body.split('\n\n');
  return rows
    .split('\n')
    .slice(2)
    .map((row) => row.split('|').slice(1, -1))
    .map((cells) => cells.map((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)));
}

it('options have the names of -o beside them', () => {
  const schema: Readonly<Record<string, Option<unknown>>> = SCHEMA;
  const rows = table('in a program');
  expect(rows.length).toBeGreaterThan(5);
  for (const [keys = [], names = []] of rows) {
    expect(keys).toHaveLength(names.length);
    for (const [i, key] of keys.entries()) {
      const option = schema[key];
      expect([...(option?.names ?? []), ...Object.keys(option?.words ?? {})]).toContain(names[i]);
    }
  }
});

it('every code of an error is named, once', () => {
  const codes = table('about').flatMap(([, named = []]) => named);
  expect(codes.toSorted()).toEqual(
    Object.keys(EXIT)
      .filter((exit) => exit !== 'ok')
      .toSorted(),
  );
});
