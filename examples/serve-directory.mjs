#!/usr/bin/env node
/**
 * Serves a directory of this machine over SFTP on the loopback address, and says how to mount it: for trying
 * Remora without an account anywhere. Ctrl-C ends it.
 *
 *     node examples/serve-directory.mjs <directory>
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startServer } from 'remora-fs/server';

const [directory] = process.argv.slice(2);
if (directory === undefined) {
  console.error('usage: node examples/serve-directory.mjs <directory>');
  process.exit(2);
}

const password = randomBytes(8).toString('hex');
const server = await startServer({ root: resolve(directory), user: 'guest', password });
const scratch = mkdtempSync(join(tmpdir(), 'remora-example-'));
const knownHosts = join(scratch, 'known_hosts');
writeFileSync(knownHosts, `[127.0.0.1]:${server.port} ${server.hostKey}\n`);

console.log(`${resolve(directory)} is served. In another terminal:`);
console.log(
  `echo ${password} | remora guest@127.0.0.1:/ <mountpoint> -p ${server.port} -o password_stdin,UserKnownHostsFile=${knownHosts}`,
);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await server.close();
    rmSync(scratch, { recursive: true });
    process.exit(0);
  });
}
