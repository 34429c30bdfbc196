/**
 * `remora demo`: an SFTP server inside this process, mounted by the real command in a child process with a
 * key and a known_hosts file of its own, a guided tour, and nothing left behind, whatever happens.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateKeyPair } from '../demo/keys.js';
import { startServer } from '../demo/server.js';
import { prepareDisk, runTour } from '../demo/tour.js';
import { runtimeDirectory } from './directories.js';
import { findDaemons } from './discover.js';
import { CommandError, EXIT, type ExitName } from './exit.js';

const USER = 'demo';
const HOST = '127.0.0.1';

interface Finished {
  readonly code: number;
  readonly output: string;
}

/** Commands that have not ended yet. */
type Running = Set<ChildProcess>;

/** Runs this very command with `args`; its output is collected, since the tour tells what matters. */
function remora(args: readonly string[], env: NodeJS.ProcessEnv, running: Running): Promise<Finished> {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  return new Promise((resolve, reject) => {
    // A session of its own: Ctrl-C is for the demo, which then cleans up with the commands it needs.
    const child = spawn(process.execPath, [main, ...args], {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let output = '';
    const collect = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', reject);
    child.on('close', (code) => {
      running.delete(child);
      resolve({ code: code ?? EXIT.daemon.code, output });
    });
  });
}

async function expectSuccess(finished: Promise<Finished>): Promise<string> {
  const { code, output } = await finished;
  if (code !== 0) throw new Error(`${output.trim().replace(/^remora: /, '')} (exit code ${code})`);
  return output;
}

/** Keys, known_hosts and directories in `base`; what the mount needs to find the server and trust it. */
async function prepare(base: string) {
  const at = (name: string) => join(base, name);
  const directories = { disk: at('server'), mount: at('mount'), local: at('local'), run: at('run') };
  for (const path of Object.values(directories)) await mkdir(path, { mode: 0o700 });
  await prepareDisk(directories.disk);
  const key = generateKeyPair();
  await writeFile(at('id_ed25519'), key.private, { mode: 0o600 });
  const server = await startServer({ root: directories.disk, user: USER, authorizedKey: key.public });
  await writeFile(at('known_hosts'), `[${HOST}]:${server.port} ${server.hostKey}\n`);
  const options = [
    `UserKnownHostsFile=${at('known_hosts')}`,
    `GlobalKnownHostsFile=${at('no_known_hosts')}`,
    'StrictHostKeyChecking=yes',
    'IdentitiesOnly=yes',
    'BatchMode=yes',
    'idmap=user',
  ];
  const port = String(server.port);
  const args = ['-p', port, '-i', at('id_ed25519'), '-o', options.join(',')];
  return { ...directories, server, args };
}

type Prepared = Awaited<ReturnType<typeof prepare>>;

async function tellStatistics(directory: string, mount: string, say: (line: string) => void): Promise<void> {
  const [daemon] = await findDaemons(directory, mount);
  if (daemon?.status == null) throw new Error('the serving process does not answer on its control socket');
  const { state, driver, pid } = daemon.status;
  say(`remora list   ${state}, mounted with ${driver}, served by process ${pid}`);
  for (const [name, value] of Object.entries(daemon.status.filesystem as object)) {
    if (typeof value === 'number' && value > 0) say(`              ${name}: ${value}`);
  }
}

/** The tour on what `prepare` made: mount, look around, unmount. */
async function tour(
  prepared: Prepared,
  env: NodeJS.ProcessEnv,
  directory: string,
  running: Running,
): Promise<void> {
  const { disk, mount, local, args } = prepared;
  await expectSuccess(remora([`${USER}@${HOST}:`, mount, ...args], env, running));
  say(`remora        ${USER}@${HOST}: is mounted on ${mount}`);
  await runTour({ mount, disk, local, say });
  await tellStatistics(directory, mount, say);
  await expectSuccess(remora(['unmount', mount], env, running));
  say('remora unmount: everything is on the server, the mount and its process are gone');
}

/** Ends the commands that still run, so that none of them mounts or unmounts any more. */
async function settle(running: Running): Promise<void> {
  const ended = [...running].map((child) => new Promise((resolve) => child.once('close', resolve)));
  for (const child of running) child.kill('SIGTERM');
  await Promise.all(ended);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Shows what Remora does. Throws when something does not work; leaves nothing behind in any case. */
export async function demo(environment: NodeJS.ProcessEnv, uid: number): Promise<ExitName> {
  const base = await mkdtemp(join(tmpdir(), 'remora-demo-'));
  const env = {
    ...environment,
    XDG_RUNTIME_DIR: join(base, 'run'),
    XDG_STATE_HOME: join(base, 'run'),
    XDG_CONFIG_HOME: base,
  };
  const interrupted = new Promise<never>((_, reject) => {
    const stop = () => reject(new CommandError('interrupted', 'the tour was interrupted'));
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  });
  // A signal that comes between two steps is not lost, and not an unhandled rejection either.
  interrupted.catch(() => {});
  const running: Running = new Set();
  let prepared: Prepared | null = null;
  try {
    prepared = await prepare(base);
    say(`A server with a directory of its own runs on ${HOST} port ${prepared.server.port}.`);
    await Promise.race([tour(prepared, env, runtimeDirectory(env, uid), running), interrupted]);
    say('That was the tour. Now: remora user@host: directory');
    return 'ok';
  } finally {
    if (prepared !== null) {
      await settle(running);
      await remora(['unmount', '--force', prepared.mount], env, running).catch(() => {});
      await prepared.server.close();
    }
    await rm(base, { recursive: true, force: true });
  }
}
