/** What is written down agrees with the tables that the program works by. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { COMMAND_ROWS } from '../../src/cli/commands.js';
import { FOREIGN } from '../../src/config/foreign.js';
import type { Option } from '../../src/config/kinds.js';
import { SCHEMA } from '../../src/config/schema.js';
import { SSH_KEYWORDS } from '../../src/config/ssh-keywords.js';
import { DOCUMENTS } from '../../tools/documents/index.js';
import { SSHFS_OPTIONS, verdictOn } from '../../tools/documents/sshfs-options.js';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

describe('documents that are made', () => {
  it.each([...DOCUMENTS])('%s is up to date (else: npm run docs)', (path, text) => {
    expect(read(path)).toBe(text);
  });

  it('name every option and every word', () => {
    const options = Object.values<Option<unknown>>(SCHEMA).flatMap(({ names, words }) => [
      ...names,
      ...Object.keys(words),
    ]);
    const others = [...FOREIGN, ...SSH_KEYWORDS].flatMap(({ names }) => names);
    const page = DOCUMENTS.get('docs/OPTIONS.md') ?? '';
    const missing = [...options, ...others].filter(
      (name) => !page.includes(`\`${name}\``) && !page.includes(`\`${name}=`),
    );
    expect(missing).toEqual([]);
  });

  it('say of an option of sshfs what the parser does', () => {
    expect(verdictOn('ro')).toBe('yes');
    expect(verdictOn('cache_timeout=3')).toBe('yes');
    expect(verdictOn('modules=subdir')).toBe('yes');
    expect(verdictOn('noforget')).toMatch(/^no effect: inodes/);
    expect(verdictOn('modules=iconv')).toBe('refused: Remora passes names through as bytes');
    const unknown = SSHFS_OPTIONS.filter(({ words }) =>
      words.split(' ').some((word) => /unknown option/.test(verdictOn(word))),
    );
    expect(unknown).toEqual([]);
  });

  it('are plain roff, each line short of a request by accident', () => {
    const manual = DOCUMENTS.get('man/remora.1') ?? '';
    const requests = manual.split('\n').flatMap((line) => /^[.'](\S*)/.exec(line)?.[1] ?? []);
    const known = ['\\"', 'TH', 'SH', 'SS', 'PP', 'TP', 'IP', 'RS', 'RE', 'nf', 'fi', 'br', 'nh', 'ad'];
    expect(requests.filter((request) => !known.includes(request))).toEqual([]);
    expect([...manual].filter((char) => char > '~')).toEqual([]);
  });
});

describe('documents that are written by hand', () => {
  it.each(COMMAND_ROWS.flatMap(([, { usage }]) => usage.map(([shape]) => shape)))(
    'COMMANDS.md has remora %s',
    (shape) => {
      expect(read('docs/COMMANDS.md')).toContain(`    remora ${shape}\n`);
    },
  );
});
