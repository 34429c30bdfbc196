import { describe, expect, it } from 'vitest';
import { ASCII_CONTROL, CONTROL } from '../../../src/base/control.js';
import { printable } from '../../../src/base/printable.js';

const UNITS = Array.from({ length: 0x10000 }, (_, unit) => unit);
const found = (pattern: RegExp) => UNITS.filter((unit) => String.fromCharCode(unit).search(pattern) === 0);
const range = (from: number, to: number) => UNITS.slice(from, to + 1);

describe('control characters', () => {
  it('of ASCII are the first 32 and DEL', () => {
    expect(found(ASCII_CONTROL)).toEqual([...range(0, 0x1f), 0x7f]);
  });

  it('are those of Latin-1 and the marks of direction, too', () => {
    const marks = [...range(0x200e, 0x200f), ...range(0x202a, 0x202e), ...range(0x2066, 0x2069)];
    expect(found(CONTROL)).toEqual([...range(0, 0x1f), ...range(0x7f, 0x9f), ...marks]);
  });

  it('never reach a terminal, but for tabs, and line ends where lines are wanted', () => {
    const all = UNITS.filter((unit) => unit < 0x100)
      .map((unit) => String.fromCharCode(unit))
      .join('');
    expect(printable(all).search(/(?!\t)\p{Cc}/u)).toBe(-1);
    expect(printable('a\tb\nc\r\nd\u202ee')).toBe('a\tb?c??d?e');
    expect(printable('a\tb\nc\r\nd\re\u001b[2J', true)).toBe('a\tb\nc\nd\ne?[2J');
  });
});
