import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Deferred, deferred } from '../../../src/base/deferred.js';
import { isWithin, type Path, rebase } from '../../../src/base/path.js';
import { PathGate } from '../../../src/fuse/path-gate.js';
import { settle } from '../../support/fuse-wire.js';

const path = (text: string) => text as Path;

/** A gate whose every work goes on until the test ends it, and a log of what began. */
function watched() {
  const gate = new PathGate();
  const begun: string[] = [];
  const ends = new Map<string, Deferred<void>>();
  const work = (what: string) => {
    begun.push(what);
    const end = deferred<void>();
    ends.set(what, end);
    return end.promise;
  };
  const use = (at: string) =>
    gate.using(
      () => path(at),
      () => work(`use ${at}`),
    );
  const change = (...paths: string[]) =>
    gate.changing(
      () => paths.map(path),
      () => work(`change ${paths.join(' ')}`),
    );
  const make = (at: string, used?: string) =>
    gate.making(
      () => ({ made: path(at), ...(used === undefined ? {} : { used: path(used) }) }),
      () => work(`make ${at}`),
    );
  const end = async (what: string) => {
    ends.get(what)?.resolve();
    await settle();
  };
  return { gate, begun, use, change, make, end };
}

describe('a name that is made', () => {
  it('is waited for by who wants it or makes it, and by nobody else', async () => {
    const { begun, use, make, end } = watched();
    const done = [make('a'), use('a'), use('a/x'), use('b'), make('c', 'a'), make('d', 'b')];
    await settle();
    expect(begun).toEqual(['make a', 'use a/x', 'use b', 'make d']);
    await end('make a');
    expect(begun.slice(4)).toEqual(['use a', 'make c']);
    for (const what of begun) await end(what);
    await Promise.all(done);
  });

  it('waits for a change of its directory, and is waited for by one', async () => {
    const { begun, make, change, end } = watched();
    const done = [change('a'), make('a/b'), change('a')];
    await settle();
    expect(begun).toEqual(['change a']);
    await end('change a');
    const next = begun[1] ?? '';
    expect(['make a/b', 'change a']).toContain(next);
    expect(begun).toHaveLength(2);
    await end(next);
    expect(begun).toHaveLength(3);
    await end(begun[2] ?? '');
    await Promise.all(done);
  });

  it('that could not be made holds nobody up', async () => {
    const gate = new PathGate();
    const make = () =>
      gate.making(
        () => ({ made: path('a') }),
        () => Promise.reject(new Error('refused')),
      );
    await expect(make()).rejects.toThrow('refused');
    await expect(make()).rejects.toThrow('refused');
  });
});

describe('a change of names', () => {
  it.each([
    ['the path itself', 'a', ['a'], true],
    ['a path below', 'a/x/y', ['a'], true],
    ['the second of its paths', 'b/x', ['a', 'b'], true],
    ['the directory that holds it', '', ['a'], false],
    ['a neighbour', 'c', ['a', 'b'], false],
    ['a name that only begins alike', 'ab', ['a'], false],
  ] as const)('and the use of %s', async (_which, used, changed, isExclusive) => {
    for (const isUseFirst of [true, false]) {
      const { begun, use, change, end } = watched();
      const [first, second] = isUseFirst
        ? [`use ${used}`, `change ${changed.join(' ')}`]
        : [`change ${changed.join(' ')}`, `use ${used}`];
      const done = isUseFirst ? [use(used), change(...changed)] : [change(...changed), use(used)];
      await settle();
      expect(begun).toEqual(isExclusive ? [first] : [first, second]);
      await end(first);
      expect(begun).toEqual([first, second]);
      await end(second);
      await Promise.all(done);
    }
  });

  it.each([
    ['of the same name', ['a'], ['a'], true],
    ['of the directory above', ['a/x'], ['a'], true],
    ['of a name below', ['a'], ['a/x'], true],
    ['that shares one of two names', ['a', 'b'], ['c', 'b'], true],
    ['of other names', ['a', 'b'], ['c', 'd'], false],
  ] as const)('and a later one %s', async (_which, one, other, isExclusive) => {
    const { begun, change, end } = watched();
    const done = [change(...one), change(...other)];
    const [first, second] = [`change ${one.join(' ')}`, `change ${other.join(' ')}`];
    await settle();
    expect(begun).toEqual(isExclusive ? [first] : [first, second]);
    await end(first);
    await end(second);
    await Promise.all(done);
    expect(begun).toEqual([first, second]);
  });

  it('is not kept waiting by uses that come after it', async () => {
    const { begun, use, change, end } = watched();
    const first = use('a');
    const renaming = change('a', 'b');
    const later = use('a');
    expect(begun).toEqual(['use a']);
    await end('use a');
    expect(begun).toEqual(['use a', 'change a b']);
    await end('change a b');
    expect(begun).toEqual(['use a', 'change a b', 'use a']);
    await end('use a');
    await Promise.all([first, renaming, later]);
  });
});

describe('requests that do not touch', () => {
  it('begin at once and in their order, without so much as a turn of the event loop', async () => {
    const { begun, use, change, end } = watched();
    const done = [use('a'), change('b', 'c'), use('a/x'), use('d'), change('e'), use('')];
    const all = ['use a', 'change b c', 'use a/x', 'use d', 'change e', 'use '];
    expect(begun).toEqual(all);
    for (const what of all) await end(what);
    await Promise.all(done);
  });

  it('and files without a name are not kept by anything', async () => {
    const { gate, change, end } = watched();
    const changing = change('');
    expect(
      await gate.using(
        () => null,
        async (found) => found,
      ),
    ).toBeNull();
    await end('change ');
    await changing;
  });
});

describe('whoever had to wait', () => {
  it('finds the path anew: a file that was renamed is used by its new name', async () => {
    const { gate, begun, change, end } = watched();
    let name: Path | null = path('a');
    const renaming = change('a', 'b');
    const using = gate.using(
      () => name,
      async (found) => found,
    );
    name = path('b');
    expect(begun).toEqual(['change a b']);
    await end('change a b');
    expect(await using).toBe('b');
    await renaming;
  });

  it('finds no path any more when the file was removed', async () => {
    const { gate, change, end } = watched();
    let name: Path | null = path('a');
    const removing = change('a');
    const using = gate.using(
      () => name,
      async (found) => found,
    );
    name = null;
    await end('change a');
    expect(await using).toBeNull();
    await removing;
  });

  it('goes on when the change before it failed', async () => {
    const gate = new PathGate();
    const held = deferred<never>();
    const failing = gate.changing(
      () => [path('a')],
      () => held.promise,
    );
    const waiting = Promise.all([
      gate.using(
        () => path('a'),
        async () => 'used',
      ),
      gate.changing(
        () => [path('a')],
        async () => 'changed',
      ),
    ]);
    held.reject(new Error('refused'));
    await expect(failing).rejects.toThrow('refused');
    expect(await waiting).toEqual(['used', 'changed']);
  });

  it('is told when the path cannot be found any more, and keeps nobody else from it', async () => {
    const { gate, change, use, end } = watched();
    let isGone = false;
    const removing = change('d');
    const find = () => {
      if (isGone) throw new Error('stale');
      return path('d/f');
    };
    const using = gate.using(find, async () => 'used');
    const changing = gate.changing(
      () => [find()],
      async () => 'changed',
    );
    isGone = true;
    await end('change d');
    await expect(using).rejects.toThrow('stale');
    await expect(changing).rejects.toThrow('stale');
    const after = [use('d/f'), change('e')];
    await end('use d/f');
    await end('change e');
    await Promise.all([removing, ...after]);
  });
});

describe('property', () => {
  const FILES = ['a', 'a/x', 'a/x/y', 'b', 'b/z', 'c'].map(path);
  const use = fc.record({ kind: fc.constant('use' as const), file: fc.nat(FILES.length - 1) });
  const rename = fc.record({
    kind: fc.constant('rename' as const),
    file: fc.nat(FILES.length - 1),
    to: fc.constantFrom(...['a', 'b', 'c', 'd', 'a/n', 'b/n', 'd/n'].map(path)),
  });
  const steps = fc.array(fc.oneof(use, rename), { minLength: 1, maxLength: 25 });

  it('a path means the same file from begin to end of its use, and nobody waits for ever', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), steps, async (scheduler, program) => {
        const gate = new PathGate();
        /** Where each file is now; null once something was renamed over it. */
        const places: (Path | null)[] = [...FILES];
        const placeOf = (file: number) => places[file] ?? null;
        const move = (from: Path, to: Path) => {
          if (isWithin(to, from) || isWithin(from, to)) return;
          for (const [file, place] of places.entries()) {
            if (place === null) continue;
            if (isWithin(place, to)) places[file] = null;
            else if (isWithin(place, from)) places[file] = rebase(place, from, to);
          }
        };
        let finished = 0;
        const run = async (step: (typeof program)[number]) => {
          const { file } = step;
          if (step.kind === 'use') {
            await gate.using(
              () => placeOf(file),
              async (found) => {
                expect(placeOf(file)).toBe(found);
                await scheduler.schedule(Promise.resolve());
                // A file that had no name is guarded by nothing, and needs nothing.
                if (found !== null) expect(placeOf(file)).toBe(found);
              },
            );
          } else {
            const { to } = step;
            await gate.changing(
              () => [placeOf(file) ?? to, to],
              async (found) => {
                expect([placeOf(file) ?? to, to]).toEqual(found);
                await scheduler.schedule(Promise.resolve());
                expect([placeOf(file) ?? to, to]).toEqual(found);
                const [from = to] = found;
                move(from, to);
              },
            );
          }
          finished += 1;
        };
        const failures: unknown[] = [];
        for (const step of program) {
          void scheduler
            .schedule(Promise.resolve())
            .then(() => run(step))
            .catch((error: unknown) => failures.push(error));
        }
        await scheduler.waitIdle();
        expect(failures).toEqual([]);
        expect(finished).toBe(program.length);
      }),
      { numRuns: 300 },
    );
  });
});
