/** Remora as a person runs it: the built command in the background, default options unless told otherwise. */
import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isAlive } from '../../test/support/processes.js';
import { must, until } from '../../test/support/run.js';
import { SUBJECT } from '../results.js';
import { helperPath } from '../tools.js';
import { MountedClient, newPlace } from './mounted.js';
import type { Client, Connection, Peer } from './peer.js';
import { optionOf, type VariantName } from './variants.js';

/** From bench/dist/bench/peers to the checkout. */
const MAIN = resolve(import.meta.dirname, '..', '..', '..', '..', 'dist', 'cli', 'main.js');
const TIMEOUT = 60_000;

export interface RemoraSettings {
  /** Further values of `-o`. */
  readonly options: readonly string[];
  /** Adds what its name stands for; null is Remora as it is. */
  readonly variant: VariantName | null;
  /** Directory for profiles of the serving process; null makes none. */
  readonly profile: string | null;
}

export class RemoraPeer implements Peer {
  readonly name: string;
  readonly mounts = true;
  readonly programs = {};
  readonly #settings: RemoraSettings;

  constructor(settings: RemoraSettings) {
    this.#settings = settings;
    this.name = settings.variant ?? SUBJECT;
  }

  async version(): Promise<string> {
    return (await must(process.execPath, [MAIN, '--version'])).trim();
  }

  async connect({ scope, server, directory: remote, cache }: Connection): Promise<Client> {
    await access(MAIN).catch(() => {
      throw new Error('Remora is not built: npm run build');
    });
    const place = await newPlace(scope);
    const { directory } = place;
    const { profile, variant } = this.#settings;
    const env = {
      ...place.environment,
      HOME: scope.directory,
      XDG_RUNTIME_DIR: scope.directory,
      XDG_STATE_HOME: join(scope.directory, 'state'),
      ...(profile === null
        ? {}
        : { NODE_OPTIONS: `--import=file://${helperPath('profile')}`, REMORA_BENCH_PROFILE: profile }),
    };
    const remora = (...args: string[]) => must(process.execPath, [MAIN, ...args], { env, timeout: TIMEOUT });
    const known = `UserKnownHostsFile=${server.knownHosts},GlobalKnownHostsFile=none,StrictHostKeyChecking=yes`;
    const login = ['-p', String(server.port), '-i', server.keyFile, '-o', known];
    const own = variant === null ? [] : [optionOf(variant, cache)];
    const options = [...this.#settings.options, ...own].flatMap((option) => ['-o', option]);
    await remora('mount', `${server.user}@${server.host}:${remote}`, directory, ...login, ...options);
    const pid = servingProcess(JSON.parse(await remora('list', '--json')), directory);
    return new MountedClient(scope, place, async () => {
      if (profile !== null) await keepProfile(pid, profile);
      await remora('unmount', directory);
    });
  }
}

/** The pid that `remora list --json` tells of the mount at `mountpoint`. */
function servingProcess(listed: unknown, mountpoint: string): number {
  const mounts: readonly unknown[] = Array.isArray(listed) ? listed : [];
  for (const mount of mounts) {
    if (typeof mount !== 'object' || mount === null || !('pid' in mount) || !('mountpoint' in mount))
      continue;
    if (mount.mountpoint === mountpoint && typeof mount.pid === 'number') return mount.pid;
  }
  throw new Error(`remora list does not show ${mountpoint}`);
}

/** Lets the serving process write its profile before it ends. */
async function keepProfile(pid: number, directory: string): Promise<void> {
  process.kill(pid, 'SIGUSR2');
  const file = join(directory, `${pid}.cpuprofile`);
  await until(`a profile of ${pid}`, async () => {
    const written = await access(file).then(
      () => true,
      () => false,
    );
    return written || !(await isAlive(pid));
  });
}
