import { describe, expect, it } from 'vitest';
import { judge } from '../../../src/fs/elsewhere.js';
import type { Attributes } from '../../../src/fs/operations.js';

describe('the rule', () => {
  const file: Attributes = {
    mode: 0o100644,
    size: 1,
    uid: 0,
    gid: 0,
    atime: 0,
    mtime: 5,
    ctime: 5,
    nlink: 1,
  };
  const read = { ...file, atime: 9 };
  const grown = { ...file, size: 2 };
  it.each([
    // known, found, own change?
    [file, read, true, 'echo'],
    [file, read, false, 'same'],
    [file, grown, true, 'other'],
    [file, null, true, 'other'],
    [null, null, true, 'echo'],
    [null, file, true, 'other'],
    [undefined, file, true, 'echo'],
    ['outdated', file, true, 'echo'],
    ['outdated', file, false, 'other'],
    ['outdated', null, true, 'other'],
    [undefined, file, false, 'other'],
    [file, undefined, true, 'other'],
  ] as const)('known %j, found %j, ours %j: %s', (known, found, isOwn, verdict) => {
    expect(judge(known, found, isOwn)).toBe(verdict);
  });
});
