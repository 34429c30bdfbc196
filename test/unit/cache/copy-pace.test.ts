/** How much a server is asked to copy at once. */
import { describe, expect, it } from 'vitest';
import { CopyPace } from '../../../src/cache/copy-pace.js';

const MIB = 2 ** 20;
const TIME = 50;

describe('the piece that a server copies at once', () => {
  it('is no more than an ordinary disk takes, before anything is known', () => {
    expect(new CopyPace().piece(TIME)).toBe(8 * MIB);
  });

  it.each([
    ['a slow disk', 20],
    ['an ordinary one', 150],
    ['memory', 4000],
  ])('comes to take the wanted time on %s', (_, perSecond) => {
    const pace = new CopyPace();
    const rate = (perSecond * MIB) / 1000;
    for (let answer = 0; answer < 6; answer += 1) pace.took(pace.piece(TIME), pace.piece(TIME) / rate);
    expect(pace.piece(TIME) / rate).toBeCloseTo(TIME, 0);
    expect(pace.piece(10 * TIME) / rate).toBeGreaterThan(rate > 1000 ? TIME : 9 * TIME);
  });

  it('is changed little by answers that come together, or after a pause', () => {
    const pace = new CopyPace();
    pace.took(8 * MIB, 0);
    expect(pace.piece(TIME)).toBe(32 * MIB);
    pace.took(32 * MIB, 60_000);
    expect(pace.piece(TIME)).toBe(8 * MIB);
  });

  it('has bounds, however fast or slow the server is', () => {
    const pace = new CopyPace();
    for (let answer = 0; answer < 20; answer += 1) pace.took(MIB, 60_000);
    expect(pace.piece(TIME)).toBe(MIB / 4);
    for (let answer = 0; answer < 20; answer += 1) pace.took(2 ** 40, 1);
    expect(pace.piece(TIME)).toBe(256 * MIB);
  });
});
