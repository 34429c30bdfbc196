/** Time that passes for a mount whose server is away: on fake timers, and on the clock of the mount. */
import { stat } from 'node:fs/promises';
import { afterEach, beforeEach, vi } from 'vitest';
import { type DirectFileSystem, openDirect, serverFile } from './direct-filesystem.js';

export const UNREACHABLE = new Error('unreachable');

/** Timers stand still in the tests of a file that calls this, but for `pass`. */
export function useFakeTimers(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
}

/** Time passes, for timers and for the clock of the mount alike. */
export async function pass({ clock }: DirectFileSystem, milliseconds: number): Promise<void> {
  const step = 250;
  for (let left = milliseconds; left > 0; left -= step) {
    clock.advance(Math.min(step, left));
    await vi.advanceTimersByTimeAsync(Math.min(step, left));
    // Answers come in real time: those that are on their way arrive before the next step.
    for (let turn = 0; turn < 4; turn += 1) await stat('/');
  }
}

/** Real turns of the event loop and of the disk, until it is so. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; !isSo(); turn += 1) {
    if (turn === 5000) throw new Error('it does not come about');
    await stat('/');
  }
}

/** A filesystem with a `file`, whose server cannot be reached again once the connection is lost. */
export async function offline(timeout = 60_000, recovery = {}): Promise<DirectFileSystem> {
  const direct = await openDirect({}, {}, { timeout, recovery });
  direct.link.refusal = UNREACHABLE;
  await serverFile(direct.disk, 'file', 'content');
  return direct;
}

/** The outcome of a call so far. */
export function watch(call: Promise<unknown>): { outcome: string } {
  const seen = { outcome: 'waits' };
  call.then(
    () => {
      seen.outcome = 'done';
    },
    (error: { code?: string }) => {
      seen.outcome = error.code ?? String(error);
    },
  );
  return seen;
}
