/** READDIR and READDIRPLUS: a listing in pieces, each within the size that was asked for. */
import { describe, expect, it, vi } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { S_IFREG } from '../../../src/base/mode.js';
import { OPCODE } from '../../../src/fuse/protocol/constants.js';
import { fileAttributes } from '../../support/fake-operations.js';
import { READ, serve } from '../../support/fuse-session.js';
import { request, u64 } from '../../support/fuse-wire.js';

describe('listing', () => {
  const entries = Array.from({ length: 10 }, (_, index) => ({
    name: ascii(`entry-${index}`),
    type: S_IFREG,
  }));
  const found = { attributes: fileAttributes, attrTtl: 1000, entryTtl: 1000 };
  const listing = { entries, describe: () => found };

  function names(payload: Buffer, plus: boolean): { name: string; nodeid: number; next: number }[] {
    const found: { name: string; nodeid: number; next: number }[] = [];
    for (let at = 0; at < payload.length; ) {
      const nodeid = plus ? Number(payload.readBigUInt64LE(at)) : 0;
      const dirent = at + (plus ? 128 : 0);
      const length = payload.readUInt32LE(dirent + 16);
      const name = payload.toString('latin1', dirent + 24, dirent + 24 + length);
      found.push({ name, nodeid, next: Number(payload.readBigUInt64LE(dirent + 8)) });
      at = dirent + ((24 + length + 7) & ~7);
    }
    return found;
  }

  it.each([false, true])('comes whole in pieces of any size (plus: %s)', async (plus) => {
    const readdir = vi.fn(async () => listing);
    for (const size of [200, 333, 512, 4096]) {
      const { call } = serve({ readdir });
      const seen: string[] = [];
      for (let offset = 0; ; ) {
        const { payload } = await call(
          plus ? OPCODE.READDIRPLUS : OPCODE.READDIR,
          1,
          ...READ(3, offset, size),
        );
        expect(payload.length).toBeLessThanOrEqual(size);
        const part = names(payload, plus);
        if (part.length === 0) break;
        seen.push(...part.map((each) => each.name));
        offset = part.at(-1)?.next ?? 0;
      }
      expect(seen).toEqual(['.', '..', ...entries.map((each) => each.name)]);
    }
    expect(readdir).toHaveBeenCalledWith(3, true);
    expect(readdir).toHaveBeenCalledWith(3, false);
  });

  it('counts a lookup only for the entries that went out, and none for . and ..', async () => {
    const { call, session } = serve({ readdir: async () => listing });
    const { payload } = await call(OPCODE.READDIRPLUS, 1, ...READ(3, 0, 160 * 5));
    const sent = names(payload, true);
    expect(sent.slice(0, 2).map((each) => each.nodeid)).toEqual([0, 0]);
    const looked = sent.slice(2);
    expect(looked.length).toBeGreaterThan(0);
    expect(session.stats().nodes).toBe(1 + looked.length);
    for (const { nodeid } of looked) session.dispatch(request(OPCODE.FORGET, { nodeid }, u64(1)));
    expect(session.stats().nodes).toBe(1);
  });

  it('leaves out what was removed since, and says nothing of what is not known', async () => {
    const describe = ({ name }: { readonly name: string }) => {
      if (name === 'entry-1') return { attributes: null, attrTtl: 0, entryTtl: 0 };
      return name === 'entry-2' ? undefined : found;
    };
    const { call } = serve({ readdir: async () => ({ entries: entries.slice(0, 4), describe }) });
    const { payload } = await call(OPCODE.READDIRPLUS, 1, ...READ(3, 0, 4096));
    expect(names(payload, true).map(({ name, nodeid }) => [name, nodeid === 0])).toEqual([
      ['.', true],
      ['..', true],
      ['entry-0', false],
      ['entry-2', true],
      ['entry-3', false],
    ]);
  });

  it('an offset far beyond the end answers nothing', async () => {
    const { call } = serve({ readdir: async () => listing });
    expect((await call(OPCODE.READDIR, 1, ...READ(3, 2 ** 40, 4096))).payload).toHaveLength(0);
  });
});
