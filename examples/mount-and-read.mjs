#!/usr/bin/env node
/**
 * Mounts a directory for as long as it is needed, reads it with the calls that everybody knows, and leaves nothing
 * behind. The words after the source are options in the spelling of `-o`.
 *
 *     node examples/mount-and-read.mjs me@server:project port=2222
 */
import { mkdtemp, readdir, rmdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mount, RemoraError } from 'remora-fs';

const [source = '', ...o] = process.argv.slice(2);
const mountpoint = await mkdtemp(join(tmpdir(), 'remora-example-'));

try {
  const mounted = await mount(source, mountpoint, { o, log: (line) => console.error(line) });
  try {
    // Another process serves the mount, so this one may read it in any way, also by synchronous calls.
    for (const name of (await readdir(mountpoint)).sort()) {
      const { size } = await stat(join(mountpoint, name));
      console.log(`${String(size).padStart(12)}  ${name}`);
    }
    const { server, link } = await mounted.status();
    console.log(`${link.state} to ${server}`);
  } finally {
    await mounted.unmount();
  }
} catch (error) {
  if (!(error instanceof RemoraError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
} finally {
  await rmdir(mountpoint);
}
