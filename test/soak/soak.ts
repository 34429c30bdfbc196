/**
 * The soak: a mount of a real sshd through a network that fails on command, programs that work on it and know what
 * must be true, and faults at random. When the faults stop, the mount has to come back by itself; then everything is
 * unmounted and the server's disk compared with what was confirmed. docs/RELIABILITY.md says what is checked.
 *
 * This process plays network and server; it never touches the mount.
 */
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { SmallDisk } from '../support/faults/disk.js';
import { behindProxy, FaultProxy } from '../support/faults/proxy.js';
import { Remora } from '../support/remora.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';
import { isRoot } from '../support/user.js';
import { stream } from './claims.js';
import { CREW, Crew, memberName } from './crew.js';
import { lossesOf } from './disk.js';
import { FAULTS, type Stage, WatchedFile } from './faults.js';
import { type Evidence, judge, type Loss, unmountTroubles } from './judge.js';
import { Random } from './random.js';
import { type Summary, summaryText } from './report.js';
import {
  BOUND,
  COMEBACK,
  DETECTION,
  MOUNT_OPTIONS,
  parseSettings,
  type Settings,
  USAGE,
  WAITING,
} from './settings.js';
import { Storm } from './storm.js';
import { toldIn } from './told.js';
import { READ_NAMES, READ_SIZE, readStream } from './workers/reader.js';

/** From test/soak/dist/test/soak to the checkout. */
const MAIN = resolve(import.meta.dirname, '..', '..', '..', '..', '..', 'dist', 'cli', 'main.js');
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
/** Tracks of faults that are played side by side. */
const TRACKS = 2;
/** After the last fault, the work goes on for so many milliseconds. */
const CALM = 2_000;
const DISK = 'size=1g,nr_inodes=100k';

async function soak(settings: Settings, scope: Scope): Promise<Summary> {
  const begun = Date.now();
  const root = await scope.makeDirectory('disk');
  const disk = isRoot ? await SmallDisk.mount(scope, root, DISK) : null;
  const watched = await furnish(root, settings.seed);
  const sshd = await Sshd.start(scope, { sftp: 'external', config: ['LogLevel INFO'] });
  const pieces = new Random(`${settings.seed}/pieces`);
  const proxy = await FaultProxy.start(sshd.port, () => pieces.next());
  scope.defer('proxy', () => proxy.stop());
  const remora = await Remora.create(scope, undefined, [process.execPath, MAIN]);
  const server = await behindProxy(scope, sshd, proxy);
  const mounted = await remora.mount(server, root, {
    options: [...MOUNT_OPTIONS, ...settings.options],
    env: settings.debug === null ? {} : { DEBUG: settings.debug },
  });

  const calm = Date.now() + settings.minutes * MINUTE;
  const crew = await Crew.start(scope, {
    seed: settings.seed,
    mountpoint: mounted.directory,
    closeConfirms: !settings.options.some((option) => option.split(',').includes('durability=async')),
    until: calm + CALM,
    deadline: calm + CALM + COMEBACK,
    bound: BOUND,
  });
  const stage: Stage = { sshd, proxy, disk, watched, detection: DETECTION, timeout: WAITING };
  const tracks = Array.from({ length: TRACKS }, (_, track) => new Random(`${settings.seed}/track ${track}`));
  const storm = new Storm(stage, settings.faults.length > 0 ? settings.faults : Object.keys(FAULTS), tracks);
  await new Promise((resolve) => setTimeout(resolve, calm - Date.now()));
  await storm.stop();
  const troubles = [...(await crew.finish())];
  const memory = await residentBytes(mounted.pid);
  const reports = await crew.reports();
  const complain = (error: unknown) => void troubles.push(`unmount: ${String(error)}`);
  await mounted.idle().catch(complain);
  const finished = await remora.run(['unmount', mounted.directory]);
  const told = toldIn(await logOf(remora), `${server.user}@${server.host}:${root}`);
  troubles.push(...unmountTroubles(finished, reports, told));
  await mounted.ended().catch(complain);

  const losses: Loss[] = [];
  for (const [worker, claims] of await crew.claims()) {
    const found = await lossesOf(join(root, worker), claims);
    losses.push(...found.map((loss) => ({ worker, ...loss })));
  }
  const evidence = { reports, played: storm.played, told, losses, troubles, bound: BOUND };
  const seconds = Math.round((Date.now() - begun) / SECOND);
  const summary = { ...judge(evidence), seed: settings.seed, seconds, memory };
  if (!summary.passed) await keep(scope, remora, settings, evidence, proxy);
  return summary;
}

/** Makes what the workers find: files to read, and one that is going to be replaced. */
async function furnish(root: string, seed: string): Promise<WatchedFile> {
  let watched: WatchedFile | null = null;
  for (const [index, kind] of CREW.entries()) {
    const name = memberName(kind, index);
    const directory = join(root, name);
    await mkdir(directory);
    if (kind === 'reader') {
      for (const file of READ_NAMES) {
        await writeFile(join(directory, file), stream(readStream(`${seed}/${name}`, file), 0, READ_SIZE));
      }
    }
    if (kind === 'witness') watched = new WatchedFile(directory, `${seed}/${name}`);
  }
  if (watched === null) throw new Error('no witness in the crew');
  await watched.replace();
  return watched;
}

/** Everything that the daemon has logged. */
async function logOf({ home }: Remora): Promise<string> {
  const directory = join(home, 'state', 'remora');
  const names = await readdir(directory);
  return (await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')))).join('');
}

async function residentBytes(pid: number): Promise<number | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kibibytes === undefined ? null : Number(kibibytes) * 1024;
}

/** A failed run leaves what was reported, what was played, and the daemon's log. */
async function keep(
  scope: Scope,
  remora: Remora,
  settings: Settings,
  evidence: Evidence,
  proxy: FaultProxy,
): Promise<void> {
  const directory = join(tmpdir(), `remora-soak-${settings.seed}`);
  await mkdir(directory, { recursive: true });
  await cp(join(scope.directory, 'reports'), directory, { recursive: true });
  await cp(join(remora.home, 'state', 'remora'), directory, { recursive: true }).catch(() => {});
  const network = proxy.log.map(({ at, what }) => ({ at: Math.round(performance.timeOrigin + at), what }));
  await writeFile(
    join(directory, 'faults.json'),
    JSON.stringify({ played: evidence.played, network }, null, 1),
  );
  console.error(`soak: what happened is in ${directory}; again: npm run soak -- --seed ${settings.seed}`);
}

async function main(): Promise<void> {
  const settings = settingsOrUsage(process.argv.slice(2));
  console.error(`soak: seed ${settings.seed}, ${settings.minutes} min`);
  const scope = await Scope.open('soak');
  process.once('SIGINT', () => void scope.close().finally(() => process.exit(130)));
  try {
    const summary = await soak(settings, scope);
    console.log(settings.json ? JSON.stringify(summary, null, 2) : summaryText(summary));
    process.exitCode = summary.passed ? 0 : 1;
  } finally {
    await scope.close();
  }
  process.exit();
}

function settingsOrUsage(args: readonly string[]): Settings {
  try {
    return parseSettings(args);
  } catch (error) {
    console.error(`${messageOf(error)}\n${USAGE}`);
    process.exit(2);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

main().catch((error: unknown) => {
  console.error(messageOf(error));
  // What a stage that did not stand up has started may still hold this process.
  process.exit(2);
});
