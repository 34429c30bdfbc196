import { describe, expect, it } from 'vitest';
import type { ByteString } from '../../../src/base/bytes.js';
import { S_IFDIR } from '../../../src/base/mode.js';
import type { Path } from '../../../src/base/path.js';
import { Ordered } from '../../../src/cache/ordered.js';
import {
  descentOf,
  FIRST_WINDOW,
  grown,
  type Order,
  orderOf,
  type Subdirectories,
  shrunk,
  upcoming,
  upcomingByLevel,
} from '../../../src/cache/walk.js';

const path = (text: string) => text as Path;
const name = (text: string) => text as ByteString;

const subdirectories = (names: readonly ByteString[]) =>
  new Ordered(names.map((each) => ({ name: each, type: S_IFDIR })));

/** A tree by its directories, the children of each in the order the server lists them. */
function tree(directories: Readonly<Record<string, readonly string[]>>): Subdirectories {
  return (directory, order) => {
    const names = (directories[directory] ?? []).map(name);
    return subdirectories(order === 'sorted' ? names.sort() : names);
  };
}

const project = tree({ '': ['src', '.git', 'docs'], src: ['b', 'a'], 'src/a': ['deep'] });

describe('a step', () => {
  it.each<[string, string, string | null]>([
    ['', 'src', 'depth'],
    ['src', 'src/b', 'depth'],
    ['src', '.git', 'breadth'],
    // Nothing lies in it.
    ['.git', 'docs', null],
    ['src/a/deep', '.git', null],
    ['src', 'src', null],
  ])('from %s to %s shows %s', (from, to, descent) => {
    expect(descentOf(path(from), path(to), 'listed', project)).toBe(descent);
  });
});

describe('what comes next', () => {
  it.each<[Order, string, readonly string[]]>([
    ['listed', 'src', ['src/b', 'src/a', 'src/a/deep', '.git', 'docs']],
    ['sorted', '.git', ['docs', 'src', 'src/a', 'src/a/deep', 'src/b']],
    ['listed', 'src/a/deep', ['.git', 'docs']],
    ['sorted', 'src/b', []],
  ])(
    'in %s order after %s is all below it, then what follows it and those above it',
    (order, from, expected) => {
      expect([...upcoming(path(from), path(''), order, project)]).toEqual(expected);
    },
  );

  it.each<[string, readonly string[]]>([
    ['src', ['.git', 'docs', 'src/b', 'src/a']],
    ['docs', ['src/b', 'src/a']],
    ['src/b', ['src/a', 'src/a/deep']],
    ['src/a/deep', []],
  ])('level by level after %s is the rest of its level, then the one below', (from, expected) => {
    expect([...upcomingByLevel(path(from), path(''), 'listed', project)]).toEqual(expected);
  });

  it('level by level stays in the tree that is walked', () => {
    expect([...upcomingByLevel(path('src/b'), path('src'), 'listed', project)]).toEqual([
      'src/a',
      'src/a/deep',
    ]);
  });

  it('stays in the tree that is walked', () => {
    expect([...upcoming(path('src/b'), path('src'), 'listed', project)]).toEqual(['src/a', 'src/a/deep']);
  });

  it('after a directory that is gone are the ones that are left', () => {
    expect([...upcoming(path('removed'), path(''), 'listed', tree({ '': ['x', 'y'] }))]).toEqual(['x', 'y']);
  });

  it('of an endless tree can be taken as far as one likes', () => {
    const endless: Subdirectories = () => subdirectories([name('d')]);
    const walk = upcoming(path('d'), path(''), 'listed', endless);
    expect([walk.next().value, walk.next().value]).toEqual(['d/d', 'd/d/d']);
  });
});

describe('the order of a walk', () => {
  const children = tree({ '': ['m', 'z', 'a', '.h'] });
  const order = (next: string, previous: string | null, preferred: Order = 'listed') =>
    orderOf(path(''), name(next), previous === null ? null : name(previous), preferred, children);

  it('shows in the first child and in each next one', () => {
    expect(order('m', null)).toBe('listed');
    expect(order('z', 'm')).toBe('listed');
    expect(order('.h', null)).toBe('sorted');
    expect(order('m', 'a')).toBe('sorted');
  });

  it('is sorted as well where hidden names are left out', () => {
    expect(order('a', null)).toBe('sorted');
  });

  it('goes on from the start where the one before was removed', () => {
    expect(order('m', 'removed')).toBe('listed');
  });

  it('is none for a child anywhere else, or going backwards', () => {
    expect(order('z', null)).toBeNull();
    expect(order('a', 'm')).toBeNull();
    expect(order('a', 'z', 'sorted')).toBe('listed');
  });
});

it('a step among 10,000 directories looks at a few of them only', () => {
  let visits = 0;
  const all = Array.from({ length: 10_000 }, (_, at) => ({
    type: S_IFDIR,
    get name() {
      visits += 1;
      return name(`d${at}`);
    },
  }));
  const ordered = new Ordered(all);
  for (let n = 0; n < 1000; n += 1) {
    orderOf(
      path(''),
      name(`d${(n * 7919) % 10_000}`),
      name(`d${(n * 104_729) % 10_000}`),
      'listed',
      () => ordered,
    );
  }
  expect(visits).toBeLessThan(2 * all.length);
});

describe('the window', () => {
  it('doubles while each listing is used, and is bounded', () => {
    let window = FIRST_WINDOW;
    for (let used = 0; used < FIRST_WINDOW; used += 1) window = grown(window);
    expect(window).toBe(2 * FIRST_WINDOW);
    for (let used = 0; used < 1000; used += 1) window = grown(window);
    expect(window).toBe(64);
  });

  it('halves when another directory was wanted, and never closes', () => {
    expect(shrunk(64)).toBe(32);
    expect(shrunk(FIRST_WINDOW)).toBe(FIRST_WINDOW);
  });
});
