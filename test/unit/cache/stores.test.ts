import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/base/clock.js';
import type { Path } from '../../../src/base/path.js';
import { Epochs } from '../../../src/cache/epochs.js';
import { TimedStore } from '../../../src/cache/timed.js';

const path = (text: string) => text as Path;

class ManualClock implements Clock {
  time = 1000;
  now() {
    return this.time;
  }
  monotonic() {
    return this.time;
  }
}

describe('epochs', () => {
  it('refuse an answer that was asked for before the path changed', () => {
    const epochs = new Epochs();
    const since = epochs.now();
    epochs.touch(path('a/b'));
    expect(epochs.isCurrent(path('a/b'), since)).toBe(false);
    expect(epochs.isCurrent(path('a/c'), since)).toBe(true);
    expect(epochs.isCurrent(path('a/b'), epochs.now())).toBe(true);
  });

  it('cover everything below a changed tree, and nothing beside it', () => {
    const epochs = new Epochs();
    const since = epochs.now();
    epochs.touchTree(path('dir'));
    expect(epochs.isCurrent(path('dir'), since)).toBe(false);
    expect(epochs.isCurrent(path('dir/deep/file'), since)).toBe(false);
    expect(epochs.isCurrent(path('dir2'), since)).toBe(true);
  });

  it('refuse old answers wholesale once their memory is full', () => {
    const epochs = new Epochs(10);
    const since = epochs.now();
    for (let at = 0; at < 20; at += 1) epochs.touch(path(`f${at}`));
    expect(epochs.isCurrent(path('f0'), since)).toBe(false);
    expect(epochs.isCurrent(path('other'), since)).toBe(false);
    expect(epochs.isCurrent(path('other'), epochs.now())).toBe(true);
  });
});

describe('timed store', () => {
  it('trusts an entry for its time and says how much is left', () => {
    const clock = new ManualClock();
    const store = new TimedStore<string>(10, clock);
    store.set(path('a'), 'x', 100);
    clock.time += 40;
    expect(store.get(path('a'))).toEqual({ value: 'x', ttl: 60 });
    clock.time += 60;
    expect(store.get(path('a'))).toBeUndefined();
  });

  it('keeps nothing that has no lifetime', () => {
    const store = new TimedStore<string>(10, new ManualClock());
    store.set(path('a'), 'x', 100);
    store.set(path('a'), 'y', 0);
    expect(store.get(path('a'))).toBeUndefined();
  });

  it('holds null as a value of its own', () => {
    const store = new TimedStore<string | null>(10, new ManualClock());
    store.set(path('a'), null, 100);
    expect(store.get(path('a'))?.value).toBeNull();
  });
});
