import { describe, expect, it } from 'vitest';
import type { ByteString } from '../../../src/base/bytes.js';
import { S_IFDIR, S_IFLNK, S_IFREG } from '../../../src/base/mode.js';
import type { Path } from '../../../src/base/path.js';
import {
  commonDirectory,
  type Entries,
  FIRST_WINDOW,
  filesAfter,
  grown,
  shrunk,
  stepsWanted,
  WAYS,
  type Way,
  waysOf,
} from '../../../src/cache/file-walk.js';
import { Ordered } from '../../../src/cache/ordered.js';
import { Directory, type Name, nameWith } from '../../../src/fs/directory.js';

const path = (text: string) => text as Path;

/** A tree by its directories; a name ends in `/` for a directory, in `@` for a symbolic link. */
function tree(directories: Readonly<Record<string, readonly string[]>>): Entries {
  const known = new Map(
    Object.entries(directories).map(([at, names]) => {
      const directory = new Directory();
      const entries = names.map((text) => {
        const type = text.endsWith('/') ? S_IFDIR : text.endsWith('@') ? S_IFLNK : S_IFREG;
        const name = text.replace(/[/@]$/, '') as ByteString;
        return [name, { ...nameWith(name, null, 0), attributes: undefined, type }] as const;
      });
      directory.list(new Map(entries), 0, 'known');
      return [at, directory] as const;
    }),
  );
  return (directory, order) => known.get(directory)?.entries(directory, order);
}

const project = tree({
  '': ['b', 'src/', 'a', '.git/', 'src.txt', 'link@'],
  src: ['z', 'deep/', 'y'],
  'src/deep': ['x'],
  '.git': ['config'],
});

const way = (order: Way['order'], descent: Way['descent'] = 'inline', hidden = true): Way => ({
  order,
  descent,
  hidden,
});

describe('files that come next', () => {
  it.each<[string, Way, readonly string[]]>([
    [
      'as listed, into directories at their place',
      way('listed'),
      ['src/z', 'src/deep/x', 'src/y', 'a', '.git/config', 'src.txt'],
    ],
    [
      'as listed, files first',
      way('listed', 'after'),
      ['a', 'src.txt', 'src/z', 'src/y', 'src/deep/x', '.git/config'],
    ],
    ['without hidden ones', way('listed', 'inline', false), ['src/z', 'src/deep/x', 'src/y', 'a', 'src.txt']],
    ['sorted by name', way('sorted'), ['src/deep/x', 'src/y', 'src/z', 'src.txt']],
    ['in the order of whole paths', way('paths'), ['src.txt', 'src/deep/x', 'src/y', 'src/z']],
  ])('%s', (_what, each, expected) => {
    expect([...filesAfter(path('b'), path(''), each, project)]).toEqual(expected);
  });

  it('by inode number are a permutation of the same', () => {
    const all = [...filesAfter(path('b'), path(''), way('inodes'), project)];
    expect(all).not.toContain('b');
    expect(new Set(all).size).toBe(all.length);
  });

  it('stay within the tree that is read', () => {
    expect([...filesAfter(path('src/z'), path('src'), way('listed'), project)]).toEqual([
      'src/deep/x',
      'src/y',
    ]);
  });

  it('end where a directory is not known', () => {
    const entries = tree({ '': ['a', 'd/', 'z'] });
    expect([...filesAfter(path('a'), path(''), way('listed'), entries)]).toEqual([]);
    expect([...filesAfter(path('a'), path(''), way('listed', 'after'), entries)]).toEqual(['z']);
  });

  it('end after a file that is gone', () => {
    expect([...filesAfter(path('gone'), path(''), way('listed'), project)]).toEqual([]);
  });

  it('are not looked for in directories without end', () => {
    const endless: Entries = (directory) =>
      new Ordered(directory.length > 100_000 ? [] : [{ name: 'd' as ByteString, type: S_IFDIR }]);
    expect([...filesAfter(path('d'), path(''), way('listed'), endless)]).toEqual([]);
  });
});

describe('a step', () => {
  const likeliest = (from: string, to: string, ways = WAYS) => waysOf(path(from), path(to), ways, project)[0];

  it.each<[string, string, Way]>([
    ['b', 'src/z', way('listed')],
    ['b', 'a', way('listed')],
    ['.git/config', 'src.txt', way('listed')],
    ['src/y', 'src/z', way('sorted')],
    ['a', 'b', way('sorted')],
    ['src/y', 'src/deep/x', way('listed', 'after')],
  ])('from %s to %s', (from, to, expected) => {
    expect(likeliest(from, to)).toEqual(expected);
  });

  it('leaves the ways on which all of them may have been made', () => {
    const first = waysOf(path('a'), path('b'), WAYS, project);
    expect(first.length).toBeGreaterThan(2);
    expect(likeliest('b', 'src.txt', first)).toEqual(way('sorted'));
    expect(waysOf(path('src.txt'), path('a'), first, project)).toEqual([]);
  });

  it('is none over many others', () => {
    const names = Array.from({ length: 100 }, (_, at) => `f${`${at}`.padStart(2, '0')}`);
    const entries = tree({ '': names });
    const orders = (to: string) => waysOf(path('f10'), path(to), WAYS, entries).map(({ order }) => order);
    expect(orders('f15')).toContain('listed');
    expect(orders('f60').filter((order) => order !== 'inodes')).toEqual([]);
  });
});

describe('a directory of 40,000 names', () => {
  const count = 40_000;
  let visits = 0;
  const name = (at: number) => `f${`${(at * 7919) % count}`.padStart(5, '0')}` as ByteString;
  const entry = (at: number): Name => ({
    ...nameWith(name(at), null, 0),
    attributes: undefined,
    type: S_IFREG,
    get name() {
      visits += 1;
      return name(at);
    },
  });
  const directory = new Directory();
  directory.list(new Map(Array.from({ length: count }, (_, at) => [name(at), entry(at)])), 0, 'known');
  const entries: Entries = (_directory, order) => directory.entries(path(''), order);
  const step = (from: number, to: number) => waysOf(path(name(from)), path(name(to)), WAYS, entries);

  it('is put in order once, and a step in it looks at a few names only', () => {
    step(0, 1);
    expect(visits).toBeLessThan(20 * count);
    visits = 0;
    for (let n = 0; n < 500; n += 1) step((n * 104_729) % count, (n * 15_485_863 + 5) % count);
    expect(visits).toBeLessThan(500 * WAYS.length * 10);
  });

  it('is followed as it is listed, and not in orders that would cost as much as many opens', () => {
    expect(step(10, 11).map(({ order }) => order)).toContain('listed');
    expect(entries(path(''), 'sorted')).toBeUndefined();
    expect(entries(path(''), 'inodes')).toBeUndefined();
  });

  it('is not put in order anew for each file that is made in it', () => {
    const before = directory.entries(path(''), 'listed');
    visits = 0;
    for (let n = 0; n < 1000; n += 1) {
      const made = `made${n}` as ByteString;
      directory.put({ ...nameWith(made, null, 0), attributes: undefined, type: S_IFREG });
      waysOf(path(name(n)), path(made), WAYS, entries);
    }
    expect(directory.entries(path(''), 'listed')).toBe(before);
    expect(visits).toBeLessThan(1000 * WAYS.length * 10);
    directory.snapshot();
    expect(entries(path(''), 'listed')?.placeOf('made7' as ByteString)).toBeGreaterThan(0);
  });
});

it('a small directory is put in order anew with each name that comes or goes', () => {
  const directory = new Directory();
  directory.list(new Map(), 0, 'known');
  const sorted = () => directory.entries(path(''), 'sorted')?.all.map(({ name }) => name);
  for (const name of ['b', 'a']) {
    directory.put({ ...nameWith(name as ByteString, null, 0), attributes: undefined, type: S_IFREG });
  }
  expect(sorted()).toEqual(['a', 'b']);
  directory.forget('b' as ByteString);
  expect(sorted()).toEqual(['a']);
});

it('the directory of two files is the deepest that holds both', () => {
  expect(commonDirectory(path('a/b/c'), path('a/b/d'))).toBe('a/b');
  expect(commonDirectory(path('a/b/c'), path('a/bc'))).toBe('a');
  expect(commonDirectory(path('a'), path('b/c'))).toBe('');
});

describe('bounds', () => {
  it('grow with what is used and shrink with what was not foreseen', () => {
    let window = FIRST_WINDOW;
    for (let n = 0; n < 1000; n += 1) window = grown(window);
    expect(window).toBe(256);
    for (let n = 0; n < 20; n += 1) window = shrunk(window);
    expect(window).toBe(FIRST_WINDOW);
  });

  it('ask for more steps the more is read in vain', () => {
    expect(stepsWanted(0, 0)).toBe(2);
    expect(stepsWanted(100, 20)).toBe(2);
    expect(stepsWanted(0, 4)).toBe(10);
    expect(stepsWanted(0, 1000)).toBe(64);
  });
});
