import { expect, it } from 'vitest';
import { innerFirst } from '../../../src/cli/all.js';
import { type Asker, shareAsker } from '../../../src/cli/asker.js';
import { Terminal } from '../../../src/cli/terminal.js';

it('what is within a mount ends before it, all else at once', async () => {
  const log: string[] = [];
  const release = new Map<string, () => void>();
  const ended = innerFirst(['/a', '/a/b', '/a/b/c', '/ab'], async (path) => {
    log.push(path);
    await new Promise<void>((resolve) => release.set(path, resolve));
    return path.length;
  });
  const next = async (path: string) => {
    release.get(path)?.();
    await new Promise(setImmediate);
  };
  await new Promise(setImmediate);
  expect(log).toEqual(['/ab', '/a/b/c']);
  await next('/a/b/c');
  await next('/a/b');
  expect(log).toEqual(['/ab', '/a/b/c', '/a/b', '/a']);
  await next('/a');
  await next('/ab');
  expect(await ended).toEqual([2, 4, 6, 3]);
});

it('a shared terminal is given back when the last one has released it', () => {
  const raw: boolean[] = [];
  let opened = 0;
  const input = {
    setRawMode: (on: boolean) => raw.push(on),
    setEncoding: () => {},
    on: () => {},
    off: () => {},
    resume: () => {},
    pause: () => {},
  };
  const lend = shareAsker(() => {
    opened++;
    return new Terminal(input, { write: () => {} });
  });
  const [first, second] = [lend(), lend()] as [Asker, Asker];
  expect(opened).toBe(1);
  void first.secret('? ').catch(() => {});
  return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
    expect(raw).toEqual([true]);
    first.release();
    first.release();
    expect(raw, 'the second one may be asking').toEqual([true]);
    second.release();
    expect(raw).toEqual([true, false]);
  });
});

it('nobody to share', () => {
  expect(shareAsker(() => null)()).toBeNull();
});
