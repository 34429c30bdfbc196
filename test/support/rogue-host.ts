/** A rogue SFTP server behind a real SSH server, for the command and the kernel. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { honestService, RogueSession, type Script } from './rogue-server.js';
import type { Scope } from './scope.js';
import { makeKey, type Server, writeKnownHosts } from './server.js';
import { makeKey as makeHostKey, startSshServer } from './ssh-test-server.js';

/** A rogue behind a real SSH server on loopback, inside this process; `root` is what it serves when it is honest. */
export async function startRogue(scope: Scope, root: string, script: Script): Promise<Server> {
  const directory = await scope.makeDirectory(`rogue-${Math.random().toString(36).slice(2)}`);
  const keyFile = await makeKey(scope, join(directory, 'login_key').slice(scope.directory.length + 1));
  const [, blob = ''] = (await readFile(`${keyFile}.pub`, 'utf8')).split(' ');
  const hostKey = makeHostKey();
  const service = await honestService(root, script);
  const server = await startSshServer({
    hostKeys: [hostKey.private],
    publicKeys: [Buffer.from(blob, 'base64')],
    subsystem: (channel) => void new RogueSession(channel, service, script),
  });
  scope.defer('rogue server', () => server.close());
  const host = '127.0.0.1';
  const knownHosts = await writeKnownHosts(join(directory, 'known_hosts'), host, server.port, hostKey.public);
  return { host, port: server.port, user: 'guest', keyFile, knownHosts };
}
