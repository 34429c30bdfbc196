/**
 * Random programs of filesystem calls, run on a mount and on a plain directory side by side: same outcomes,
 * same trees, and in the end the same tree on the server's disk. Where the server is watched, files are changed there
 * between the steps as well. A failure prints its seed and the smallest
 * program that shows it; REMORA_MODEL_SEED runs a seed again.
 */
import { lstat, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ALL_BACKENDS,
  ASYNC_BACKENDS,
  type Backend,
  closeBackend,
  EXTREME_BACKENDS,
  remounted,
  WATCHED_BACKENDS,
} from '../support/backends.js';
import { picture, program, Side, type Step, sharedProgram } from '../support/model.js';

/** Milliseconds of random programs for each backend. */
const TIME = 16_000;
/** Milliseconds in which what others did has to show. */
const SHOWN = 10_000;
/** A tree is compared after so many steps, and after the last. */
const STRIDE = 3;

const MOUNTS = [
  ...ALL_BACKENDS.filter(({ name }) => ['OpenSSH', 'the embedded server'].includes(name)),
  ...EXTREME_BACKENDS,
  ...ASYNC_BACKENDS,
  ...WATCHED_BACKENDS,
];

/** Where changes are posted, this waits for all of them. */
async function confirm(directory: string): Promise<void> {
  const handle = await open(directory);
  await handle.sync().finally(() => handle.close());
}

describe.each(MOUNTS)('reference model on $name', (kind) => {
  let backend: Backend;
  let plain: string;
  let runs = 0;
  /** The program that is being run: when time is up, it is not waited for. */
  let running: Promise<void> = Promise.resolve();

  beforeAll(async () => {
    backend = await kind.open('model');
    plain = await backend.scope.makeDirectory('plain');
    process.umask(0o022);
  });
  afterAll(async () => {
    await running.catch(() => undefined);
    if (backend) await closeBackend(backend);
  });

  /** Waits until the mount shows what was done to `path` on the server: a name that is gone is in no picture. */
  async function shows(roots: Readonly<Record<'mount' | 'plain', string>>, path: string, what: string) {
    const shown = async (root: string) => [
      ...(await picture(root)),
      await lstat(join(root, 'in', path)).then(
        () => 'there',
        ({ code }) => code,
      ),
    ];
    const expected = await shown(roots.plain);
    const options = { timeout: SHOWN, interval: 10 };
    await expect
      .poll(() => shown(roots.mount).catch(String), { ...options, message: `what shows of ${what}` })
      .toEqual(expected);
  }

  /** Runs the steps in fresh directories; throws at the first difference. */
  async function compare(steps: readonly Step[]): Promise<void> {
    const own = `run-${++runs}`;
    const roots = {
      mount: join(backend.directory, own),
      plain: join(plain, own),
      disk: join(backend.disk, own),
    };
    // One level down, so that a link to ../a stays within what is compared.
    for (const root of [roots.mount, roots.plain]) {
      await mkdir(root);
      await mkdir(join(root, 'in'));
    }
    const mount = new Side(join(roots.mount, 'in'));
    const model = new Side(join(roots.plain, 'in'));
    const server = new Side(join(roots.disk, 'in'));
    try {
      for (const [index, step] of steps.entries()) {
        const what = `step ${index} ${JSON.stringify(step)}`;
        const isElsewhere = step.do === 'elsewhere';
        if (isElsewhere) {
          // What is open, and what is not confirmed, has rules of its own.
          await Promise.all([mount.close(), model.close()]);
          await confirm(roots.mount);
        }
        const expected = await model.perform(step);
        expect(await (isElsewhere ? server : mount).perform(step), what).toBe(expected);
        if (step.do === 'elsewhere') await shows(roots, step.path, what);
        else if (index % STRIDE === STRIDE - 1 || index === steps.length - 1) {
          expect(await picture(roots.mount), `the tree after ${what}`).toEqual(await picture(roots.plain));
        }
      }
    } finally {
      await mount.close();
      await model.close();
    }
    const expected = await picture(roots.plain);
    expect(await picture(roots.mount), 'the tree after all handles are closed').toEqual(expected);
    await confirm(roots.mount);
    expect(await picture(roots.disk), 'the tree on the disk of the server').toEqual(expected);
    if (backend.isWatched) return;
    await rm(roots.mount, { recursive: true });
    await rm(roots.plain, { recursive: true });
  }

  function start(steps: readonly Step[]): Promise<void> {
    running = compare(steps);
    return running;
  }

  it('does what a plain directory does', { timeout: TIME * 6 }, async () => {
    const seed = Number(process.env.REMORA_MODEL_SEED ?? Date.now() % 2 ** 31);
    console.log(`model on ${kind.name}: seed ${seed}`);
    await fc.assert(fc.asyncProperty(backend.isWatched ? sharedProgram : program, start), {
      seed,
      numRuns: 100_000,
      interruptAfterTimeLimit: TIME,
      markInterruptAsFailure: false,
    });
    console.log(`model on ${kind.name}: ${runs} programs`);
    if (!backend.isWatched) return;
    await running;
    // What this machine's disk has of all of it is true as well.
    backend = await remounted(backend);
    expect(await picture(backend.directory), 'everything after a remount').toEqual(await picture(plain));
  });
});
