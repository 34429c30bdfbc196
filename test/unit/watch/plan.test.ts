/** Which directories are watched, and which filesystems can be. */
import { describe, expect, it } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { tellsAll, toWatch } from '../../../src/watch/plan.js';

const plan = (recent: string[], most: number, refused: string[] = []) => [
  ...toWatch(recent.map(ascii), most, (path) => refused.includes(path)),
];

describe('what is watched', () => {
  it('is what was used last, each behind its parent', () => {
    expect(plan(['a/b/c', 'd', ''], 10)).toEqual(['', 'a', 'a/b', 'a/b/c', 'd']);
  });

  it('is never more than allowed, and never without what lies above it', () => {
    expect(plan(['a/b/c', 'd', 'e'], 3)).toEqual(['', 'd', 'e']);
    expect(plan(['a/b/c', 'd', 'e'], 4)).toEqual(['', 'a', 'a/b', 'a/b/c']);
    expect(plan(['a'], 1)).toEqual([]);
  });

  it('is nothing below what cannot be', () => {
    expect(plan(['a/b', 'c'], 10, ['a'])).toEqual(['', 'c']);
    expect(plan(['a/b', 'c'], 10, [''])).toEqual([]);
  });
});

it('only a filesystem of the machine itself tells of all that changes', () => {
  const [ext4, tmpfs, nfs, fuse, unknown] = [0xef53, 0x01021994, 0x6969, 0x65735546, 0];
  expect([ext4, tmpfs].map(tellsAll)).toEqual([true, true]);
  expect([nfs, fuse, unknown].map(tellsAll)).toEqual([false, false, false]);
});
