import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printable } from '../../../src/base/printable.js';
import { coalesce } from '../../../src/ssh/channel.js';

test('coalescing keeps every byte in order, and joins small neighbours', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 20 }), (sizes) => {
      const chunks = sizes.map((size, i) => Buffer.alloc(size, i));
      const batches = coalesce(chunks);
      expect(Buffer.concat(batches).equals(Buffer.concat(chunks))).toBe(true);
      for (const [i, batch] of batches.entries()) {
        const next = batches[i + 1];
        if (next !== undefined) expect(batch.length + next.length).toBeGreaterThan(32 * 1024);
      }
    }),
  );
});

test('a large chunk is not copied', () => {
  const large = Buffer.alloc(100_000);
  expect(coalesce([Buffer.from('header'), large])[1]).toBe(large);
});

test('attack: text that would move the cursor, set the title or reverse the line', () => {
  expect(printable('a\x1b[2J\x9b1m\u202eb\r\nc')).toBe('a?[2J?1m?b??c');
  expect(printable('a\r\nb\tc', true)).toBe('a\nb\tc');
  expect(printable('x'.repeat(10_000)).length).toBe(4097);
});
