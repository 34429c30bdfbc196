/**
 * A mount in a test suite: how does a program behave on a remote directory, and when the network drops? A server is
 * embedded in the suite, so the test needs no account and no sshd.
 *
 *     node --test examples/test-suite.test.mjs
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { mount } from 'remora-fs';
import { startServer } from 'remora-fs/server';

const run = promisify(execFile);

let scratch;
let server;
let mounted;

before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'remora-suite-'));
  await Promise.all(['disk', 'mnt'].map((name) => mkdir(join(scratch, name))));
  server = await startServer({ root: join(scratch, 'disk'), user: 'guest', password: 'secret' });
  await writeFile(join(scratch, 'known_hosts'), `[127.0.0.1]:${server.port} ${server.hostKey}\n`);
  mounted = await mount('guest@127.0.0.1:/', join(scratch, 'mnt'), {
    password: 'secret',
    options: {
      port: server.port,
      // The suite shall not depend on whose machine it runs on.
      configFile: 'none',
      identityAgent: 'none',
      identityFiles: ['none'],
      userKnownHostsFiles: [join(scratch, 'known_hosts')],
    },
  });
});

after(async () => {
  await mounted?.unmount();
  await server?.close();
  await rm(scratch, { recursive: true });
});

test('what the program writes is on the server', async () => {
  await run('sh', ['-c', 'echo result > "$0"/out', mounted.mountpoint]);
  assert.equal(await readFile(join(scratch, 'disk', 'out'), 'utf8'), 'result\n');
});

test('the program does not notice that the network drops', async () => {
  // The SFTP server lives in this process, so nothing in it may wait for the mount by a synchronous call.
  const lost = once(mounted.events, 'link');
  server.dropConnections();
  const [{ state }] = await lost;
  assert.equal(state, 'offline');
  assert.equal(await readFile(join(mounted.mountpoint, 'out'), 'utf8'), 'result\n');
});
