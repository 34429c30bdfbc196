/** `npm run bench`: reads the options, sets the stage, measures, and writes what was found. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { run } from '../test/support/run.js';
import { Scope } from '../test/support/scope.js';
import { Data } from './data.js';
import { interruptible } from './interrupt.js';
import { describeMachine, memoryDirectory, storageOf } from './machine.js';
import { measure } from './measure.js';
import { Network } from './network.js';
import { type BenchOptions, parseOptions } from './options.js';
import { ensurePrograms, peersNamed } from './peers/index.js';
import type { Peer } from './peers/peer.js';
import { isUnknown } from './peers/variants.js';
import { markdown, targetTable } from './report.js';
import { isVariant, merged, type Results, SUBJECT } from './results.js';
import { scenariosFor } from './scenarios/index.js';
import { sizesFor } from './sizes.js';
import { svg } from './svg.js';
import { judge } from './targets.js';

/** What the largest files of a run need at the server. */
const ROOM = 6 * 2 ** 30;

const print = (text: string) => process.stdout.write(`${text}\n`);

function list(): void {
  for (const { name, about } of scenariosFor(sizesFor(0, false))) print(`${name.padEnd(20)}${about}`);
}

async function versionsOf(peers: readonly Peer[]): Promise<Readonly<Record<string, string>>> {
  const others = peers.filter(({ name }) => name !== 'local' && name !== 'sftp' && !isVariant(name));
  const versions = await Promise.all(others.map(async (peer) => [peer.name, await peer.version()] as const));
  const ssh = await run('ssh', ['-V']);
  const [openssh = 'unknown'] = ssh.stderr.trim().split(/[\s,]/);
  return { ...Object.fromEntries(versions), 'sshd, sftp': openssh.replace('OpenSSH_', '') };
}

/** Runs the plan in a scope of its own, whose directory is `data`. */
async function measured(options: BenchOptions): Promise<Results> {
  // The scope makes its directory where TMPDIR says.
  process.env.TMPDIR = resolve(options.data ?? (await memoryDirectory(ROOM)) ?? tmpdir());
  const profile = options.profile === null ? null : resolve(options.profile);
  if (profile !== null) await mkdir(profile, { recursive: true });
  for (const name of options.peer.filter(isUnknown)) {
    process.stderr.write(`${name} is left out: this Remora does not have its option\n`);
  }
  const known = options.peer.filter((name) => !isUnknown(name));
  const peers = peersNamed(known, { options: options.remoraOptions, profile });
  await ensurePrograms(peers);
  const scope = await Scope.open('bench');
  let closing: Promise<void> | null = null;
  // What is running when a signal comes loses its mount, fails, and is the last.
  const close = () => {
    closing ??= scope.close();
    return closing;
  };
  return interruptible(
    async (signal) => {
      try {
        return await staged(options, { scope, peers, signal });
      } finally {
        await close();
      }
    },
    () => void close().catch(() => {}),
  );
}

interface Cast {
  readonly scope: Scope;
  readonly peers: readonly Peer[];
  readonly signal: AbortSignal;
}

/** Runs the plan between the peers and a server in `scope`. */
async function staged(options: BenchOptions, { scope, peers, signal }: Cast): Promise<Results> {
  const network = await Network.start(scope, options.bandwidth);
  const roundTrips: Record<string, number> = {};
  for (const rtt of options.rtt) roundTrips[String(rtt)] = await network.measure(rtt);
  const data = new Data(await scope.makeDirectory('served'));
  const plan = { ...options, peers, scenarios: options.scenario, rtts: options.rtt };
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  const measurements = await measure(plan, { scope, network, data, progress, signal });
  // An interrupted measurement may have been the last; its failure is no result.
  signal.throwIfAborted();
  const { quick, bandwidth, cap, remoraOptions } = options;
  return {
    date: new Date().toISOString(),
    machine: describeMachine(),
    versions: await versionsOf(peers),
    settings: { quick, bandwidth, cap, storage: await storageOf(data.root), remoraOptions },
    roundTrips,
    measurements,
  };
}

async function write(options: BenchOptions, results: Results): Promise<void> {
  const json = `${JSON.stringify(results, null, 2)}\n`;
  if (options.json !== null) await writeFile(options.json, json);
  if (options.out === null) return;
  await mkdir(options.out, { recursive: true });
  await writeFile(join(options.out, 'results.json'), json);
  await writeFile(join(options.out, 'results.md'), markdown(results));
  await writeFile(join(options.out, 'results.svg'), svg(results));
}

async function load(file: string): Promise<Results> {
  return JSON.parse(await readFile(file, 'utf8'));
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options.list) return list();
  const { checkTargets } = options;
  const old = typeof checkTargets === 'string' ? checkTargets : null;
  const earlier = options.add === null ? null : await load(options.add);
  const found = old === null ? await measured(options) : await load(old);
  const results = earlier === null ? found : merged(earlier, found);
  if (old === null) {
    await write(options, results);
    print(markdown(results));
  } else {
    print(targetTable(judge(results)));
  }
  const missed = judge(results).some(({ verdict }) => verdict === 'missed');
  const failed = results.measurements.some(
    ({ peer, failure }) => (peer === SUBJECT || isVariant(peer)) && failure !== null,
  );
  if (failed || (checkTargets !== false && missed)) process.exitCode = 1;
}

main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
