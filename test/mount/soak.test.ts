/** The soak for a minute, with a new seed each time: docs/RELIABILITY.md says what it checks, and how to repeat one. */
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { must, run } from '../support/run.js';

const ROOT = resolve(import.meta.dirname, '..', '..');
const SOAK = join(ROOT, 'test', 'soak');

it.each([
  ['a minute', '1', []],
  // What the workers claim holds without an fsync as well: the daemon lives, and posts arrive in the end, but for those
  // that a full disk refuses, which the mount must tell.
  ['half a minute with durability=async', '0.5', ['-o', 'durability=async']],
])(
  '%s of faults loses nothing, tells no false error and lets nobody wait too long',
  async (_name, minutes, options) => {
    await must(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', SOAK]);
    const main = join(SOAK, 'dist', 'test', 'soak', 'soak.js');
    const { code, stdout, stderr } = await run(process.execPath, [main, '--minutes', minutes, ...options], {
      timeout: 200_000,
    });
    console.log(stdout);
    expect(code, `${stderr}${stdout}`).toBe(0);
  },
  220_000,
);
