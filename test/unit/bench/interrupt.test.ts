/** The end of a run that is told to end: whatever is told again, everything is taken down once, and to its end. */
import { expect, it } from 'vitest';
import { interruptible } from '../../../bench/interrupt.js';
import { deferred } from '../../../src/base/deferred.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const listeners = () => SIGNALS.map((signal) => process.listenerCount(signal));

it('a signal that comes again, or another, does not end the process before everything is taken down', async () => {
  const before = listeners();
  const takenDown = deferred<void>();
  let left = 0;
  const run = interruptible(
    async (signal) => {
      for (let time = 0; time < 2; time += 1) for (const each of SIGNALS) process.emit(each);
      // A signal without a listener ends the process.
      for (const each of SIGNALS) expect(process.listenerCount(each)).toBeGreaterThan(0);
      await takenDown.promise;
      signal.throwIfAborted();
    },
    () => {
      left += 1;
      takenDown.resolve();
    },
  );
  await expect(run).rejects.toThrow('interrupted');
  expect(left).toBe(1);
  expect(listeners()).toEqual(before);
});

it('a run that nobody ends answers, and leaves no listener behind', async () => {
  const before = listeners();
  const answer = await interruptible(
    async (signal) => (signal.aborted ? 'aborted' : 'done'),
    () => expect.fail('nobody asked to leave'),
  );
  expect(answer).toBe('done');
  expect(listeners()).toEqual(before);
});
