import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { quoted } from '../../../src/base/shell.js';

test.each(['plain', "it's", '$(id) `id` "x" \\ %h !', "'", '', '-x', 'a\nb'])(
  '%j is one word of a shell',
  (word) => {
    expect(execFileSync('sh', ['-c', `printf %s. ${quoted(word)}`], { encoding: 'utf8' })).toBe(`${word}.`);
  },
);

test('what is in the home directory stays there', () => {
  const env = { HOME: '/home/me' };
  const said = execFileSync('sh', ['-c', `printf %s ${quoted("~/my file's")}`], { encoding: 'utf8', env });
  expect(said).toBe("/home/me/my file's");
});
