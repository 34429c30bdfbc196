import { describe, expect, it } from 'vitest';
import * as flag from '../../../src/fuse/protocol/constants.js';
import { negotiate } from '../../../src/fuse/protocol/init.js';

const EVERYTHING = 0xffffffff | 0;
const offer = { major: 7, minor: 40, maxReadahead: 131072, flags: EVERYTHING };
const OURS =
  flag.FUSE_ASYNC_READ |
  flag.FUSE_ATOMIC_O_TRUNC |
  flag.FUSE_BIG_WRITES |
  flag.FUSE_AUTO_INVAL_DATA |
  flag.FUSE_DO_READDIRPLUS |
  flag.FUSE_READDIRPLUS_AUTO |
  flag.FUSE_ASYNC_DIO |
  flag.FUSE_PARALLEL_DIROPS |
  flag.FUSE_ABORT_ERROR |
  flag.FUSE_MAX_PAGES |
  flag.FUSE_CACHE_SYMLINKS;

function accepted(init: typeof offer, options = {}) {
  const result = negotiate(init, options);
  if (result.kind !== 'accept') throw new Error(result.kind);
  return result.out;
}

describe('FUSE_INIT', () => {
  it('takes exactly what it wants of a kernel that offers everything', () => {
    expect(accepted(offer)).toEqual({
      major: 7,
      minor: 31,
      maxReadahead: 131072,
      flags: OURS,
      maxBackground: 64,
      congestionThreshold: 48,
      maxWrite: 1048576,
      timeGran: 1_000_000_000,
      maxPages: 256,
    });
  });

  it('asks for nothing that is not offered', () => {
    for (let bit = 0; bit < 31; bit++) {
      const flags = EVERYTHING & ~(1 << bit);
      expect(accepted({ ...offer, flags }).flags).toBe(OURS & flags);
    }
    expect(accepted({ ...offer, flags: 0 }).flags).toBe(0);
  });

  it('stays at 128 KiB where FUSE_MAX_PAGES is missing', () => {
    const out = accepted({ ...offer, flags: EVERYTHING & ~flag.FUSE_MAX_PAGES });
    expect(out).toMatchObject({ maxWrite: 131072, maxPages: 0 });
  });

  it('takes the read-ahead that the kernel offers, since it cannot be raised', () => {
    expect(accepted({ ...offer, maxReadahead: 4096 }).maxReadahead).toBe(4096);
    expect(accepted({ ...offer, maxReadahead: 2 ** 31 }).maxReadahead).toBe(2 ** 31);
  });

  it.each([
    ['readdirplus', flag.FUSE_DO_READDIRPLUS | flag.FUSE_READDIRPLUS_AUTO],
    ['cacheSymlinks', flag.FUSE_CACHE_SYMLINKS],
    ['asyncRead', flag.FUSE_ASYNC_READ],
  ])('%s can be turned off', (option, flags) => {
    expect(accepted(offer, { [option]: false }).flags).toBe(OURS & ~flags);
  });

  it('answers a newer major version with its own, and waits to be asked again', () => {
    expect(negotiate({ ...offer, major: 8 })).toMatchObject({
      kind: 'again',
      out: { major: 7, minor: 31, flags: 0 },
    });
  });

  it.each([
    [6, 31],
    [7, 30],
  ])('refuses protocol %d.%d in words', (major, minor) => {
    expect(negotiate({ ...offer, major, minor })).toEqual({
      kind: 'refuse',
      message: `this kernel speaks FUSE protocol ${major}.${minor}; 7.31 (Linux 5.4) or newer is needed`,
    });
  });
});
