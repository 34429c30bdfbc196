/** The embedded SFTP server on loopback, in a process of its own, serving a directory as its root. */
import { fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inject } from 'vitest';
import { endProcesses } from './processes.js';
import { baseEnvironment, type Identity } from './run.js';
import type { Scope } from './scope.js';
import { makeKey, type Server, writeKnownHosts } from './server.js';

export interface EmbeddedOptions {
  readonly password?: string;
  readonly maxConnections?: number;
  readonly maxSessions?: number;
}

export async function startEmbedded(
  scope: Scope,
  root: string,
  as?: Identity,
  options: EmbeddedOptions = {},
): Promise<Server> {
  const directory = await scope.makeDirectory(`embedded-${Math.random().toString(36).slice(2)}`);
  const keyFile = await makeKey(scope, join(directory, 'login_key').slice(scope.directory.length + 1));
  const stage = inject('stage');
  const child = fork(join(import.meta.dirname, 'embedded-child.mjs'), [], {
    execArgv: [],
    cwd: '/',
    env: { ...baseEnvironment(), ...scope.environment },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    ...(as ? { uid: as.uid, gid: as.gid } : {}),
  });
  scope.defer('embedded server', async () => {
    if (child.pid !== undefined) await endProcesses([child.pid]);
  });
  const user = 'guest';
  const authorizedKey = await readFile(`${keyFile}.pub`, 'utf8');
  const module = pathToFileURL(join(stage.directory, 'dist', 'demo', 'server.js')).href;
  const answer = await new Promise<{ port: number; hostKey: string; error?: string }>((resolve, reject) => {
    child.on('message', (message) => resolve(message as { port: number; hostKey: string }));
    child.on('exit', () => reject(new Error('the embedded server ended')));
    child.send({ module, options: { ...options, root, user, authorizedKey } });
  });
  if (answer.error) throw new Error(`the embedded server does not start: ${answer.error}`);
  const host = '127.0.0.1';
  const knownHosts = await writeKnownHosts(join(directory, 'known_hosts'), host, answer.port, answer.hostKey);
  return { host, port: answer.port, user, keyFile, knownHosts };
}
