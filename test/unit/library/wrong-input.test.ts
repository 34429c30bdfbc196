/** What JavaScript lets through is refused by name, before anything is done: a `usage` error and one sentence. */
import { describe, expect, it } from 'vitest';
import { connect, mount, RemoraError, status, unmount } from '../../../src/index.js';
import { startServer } from '../../../src/library/serve.js';

/** The functions as JavaScript sees them. */
type Loose = (...args: readonly unknown[]) => Promise<unknown>;
const [mounting, connecting, unmounting, asking, serving] = [
  mount,
  connect,
  unmount,
  status,
  startServer,
] as unknown as readonly [Loose, Loose, Loose, Loose, Loose];

/** Where nothing is, so that whatever gets past the look at its input fails in another way. */
const PLACE = '/nowhere/at/all';
const settings = (wrong: unknown) => () => mounting('host:', PLACE, wrong);
const options = (wrong: unknown) => settings({ options: wrong });

const WRONG: Readonly<Record<string, readonly [() => Promise<unknown>, string]>> = {
  'no source': [() => mounting(), 'the source must be a string, not undefined'],
  'a number for a source': [() => mounting(5, PLACE), 'the source must be a string, not a number'],
  'no mount point': [() => mounting('host:'), 'the mount point must be a string, not undefined'],
  'an empty mount point': [() => mounting('host:', ''), 'the mount point must not be empty'],
  'a mount point with NUL': [() => unmounting('/a\0b'), 'the mount point must not hold a NUL'],
  'null for settings': [settings(null), 'what is set must be an object, not null'],
  'a string for settings': [settings('ro'), 'what is set must be an object, not a string'],
  'an option among the settings': [settings({ port: 22 }), "unknown setting 'port'"],
  'a setting mistyped': [settings({ pasword: 'x' }), "unknown setting 'pasword': did you mean 'password'?"],
  'a word of every object': [settings({ toString: 1 }), "unknown setting 'toString'"],
  'a string for o': [settings({ o: 'ro' }), "'o' must be an array of strings, not a string"],
  'who serves': [
    settings({ serve: 'here' }),
    "'serve' must be 'child' or 'detached' or 'in-process', not 'here'",
  ],
  'a number for who serves': [
    settings({ serve: 5 }),
    "'serve' must be 'child' or 'detached' or 'in-process', not a number",
  ],
  'a signal': [settings({ signal: {} }), "'signal' must be an AbortSignal, not an object"],
  'an answer for ask': [settings({ ask: 'yes' }), "'ask' must be a function, not a string"],
  'null for options': [options(null), "'options' must be an object, not null"],
  'an array for options': [options(['ro']), "'options' must be an object, not an array of strings"],
  'an unknown option': [options({ prot: 22 }), "unknown option 'prot': did you mean 'port'?"],
  'one file for several': [
    options({ identityFiles: '~/.ssh/id' }),
    "option 'identityFiles' must be an array of strings, not a string",
  ],
  'files that are none': [
    options({ userKnownHostsFiles: [1] }),
    "option 'userKnownHostsFiles' must be an array of strings, not an array",
  ],
  'an object for text': [options({ fsname: {} }), "option 'fsname' must be a string, not an object"],
  'text for a number': [options({ port: '22' }), "option 'port' must be a number, not a string"],
  'no number at all': [options({ port: Number.NaN }), "option 'port' cannot be 'NaN'"],
  'a word for a flag': [options({ readOnly: 'no' }), "option 'readOnly' must be true or false, not a string"],
  'connect: no source': [() => connecting(), 'the source must be a string, not undefined'],
  'connect: null for settings': [() => connecting('host:', null), 'what is set must be an object, not null'],
  'connect: who serves': [() => connecting('host:', { serve: 'child' }), "unknown setting 'serve'"],
  'unmount: nothing': [() => unmounting(), 'the mount point must be a string, not undefined'],
  'unmount: null for settings': [() => unmounting(PLACE, null), 'what is set must be an object, not null'],
  'unmount: a word for force': [
    () => unmounting(PLACE, { force: 'no' }),
    "'force' must be true or false, not a string",
  ],
  'status: nothing': [() => asking(), 'the mount point must be a string, not undefined'],
  'startServer: nothing': [() => serving(), 'what is set must be an object, not undefined'],
  'startServer: no root': [() => serving({ user: 'x' }), "'root' must be a string, not undefined"],
  'startServer: a key that is none': [
    () => serving({ root: '/', user: 'x', authorizedKey: 5 }),
    "'authorizedKey' must be a string, not a number",
  ],
};

describe('is refused', () => {
  it.each(Object.entries(WRONG))('%s', async (_what, [call, sentence]) => {
    const error: unknown = await call().catch((error: unknown) => error);
    expect(error).toBeInstanceOf(RemoraError);
    expect(error).toMatchObject({ code: 'usage', message: expect.stringContaining(sentence) });
    expect((error as RemoraError).message).not.toContain('\n');
  });
});
