/** What `remora system install` leaves for others than root. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { system } from '../../../../src/cli/system/system.js';

let root: string;
let umask: number;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'remora-system-'));
  umask = process.umask(0o077);
});

afterEach(async () => {
  process.umask(umask);
  await rm(root, { recursive: true });
});

it('can be entered and read by everybody, whatever the umask of root', async () => {
  const ignore = () => {};
  await system({ command: 'system', action: 'install', root }, ignore, ignore);
  for (const path of ['sbin', 'usr/local/share/man/man1']) {
    expect((await stat(join(root, path))).mode & 0o777, path).toBe(0o755);
  }
});
