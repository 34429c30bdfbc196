#!/usr/bin/env node
/**
 * A backup whose source cannot be changed by it: the directory is mounted read-only, archived by tar, and the archive
 * gets its name when it is whole. The words after the archive are options in the spelling of `-o`.
 *
 *     node examples/backup.mjs me@server:/srv/data data.tar IdentityFile=~/.ssh/backup
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rename, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mount } from 'remora-fs';

const [source = '', archive = '', ...o] = process.argv.slice(2);
const mountpoint = await mkdtemp(join(tmpdir(), 'remora-backup-'));
const partial = `${archive}.partial`;

try {
  // Nobody is there to be asked; and should the server be gone for five minutes, tar gets an error rather than waiting.
  const options = { readOnly: true, batchMode: true, timeout: 300 };
  const mounted = await mount(source, mountpoint, { options, o });
  mounted.events.on('link', ({ state, reason }) => {
    if (state === 'offline') console.error(`waiting for the server: ${reason}`);
  });
  try {
    const tar = spawn('tar', ['-C', mountpoint, '-cf', partial, '.'], { stdio: 'inherit' });
    const [code] = await once(tar, 'close');
    if (code !== 0) throw new Error(`tar ended with ${code}; there is no new archive`);
    await rename(partial, archive);
  } finally {
    await mounted.unmount();
  }
  console.log(`${source} is in ${archive}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await rm(partial, { force: true });
  await rmdir(mountpoint);
}
