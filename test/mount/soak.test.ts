/** The soak for a minute, with a new seed each time: docs/RELIABILITY.md says what it checks, and how to repeat one. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { must, run } from '../support/run.js';

const ROOT = resolve(import.meta.dirname, '..', '..');
const SOAK = join(ROOT, 'test', 'soak');

it.each([
  ['a minute', '1', []],
  // What the workers claim holds without an fsync as well: the daemon lives, and posts arrive in the end, but for those
  // that a full disk refuses, which the mount must tell.
  ['half a minute with durability=async and cache_dir', '0.5', ['durability=async', 'cache_dir=']],
])(
  '%s of faults loses nothing, tells no false error and lets nobody wait too long',
  async (_name, minutes, options) => {
    await must(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', SOAK]);
    const main = join(SOAK, 'dist', 'test', 'soak', 'soak.js');
    const cache = await mkdtemp(join(tmpdir(), 'remora-cache-'));
    onTestFinished(() => rm(cache, { recursive: true }));
    const given = options.flatMap((option) => ['-o', option === 'cache_dir=' ? option + cache : option]);
    const { code, stdout, stderr } = await run(process.execPath, [main, '--minutes', minutes, ...given], {
      timeout: 200_000,
    });
    console.log(stdout);
    expect(code, `${stderr}${stdout}`).toBe(0);
  },
  220_000,
);
