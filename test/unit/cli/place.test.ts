/** Which mount a path lies in, and what is shown while something takes long. */
import { describe, expect, it } from 'vitest';
import { placeOf } from '../../../src/cli/place.js';
import { Progress } from '../../../src/cli/progress.js';

describe('a path', () => {
  const mountpoints = ['/mnt', '/mnt/inner', '/mnt2'];

  it.each([
    ['/mnt', '/mnt', ''],
    ['/mnt/a/b', '/mnt', 'a/b'],
    ['/mnt/inner/c', '/mnt/inner', 'c'],
    ['/mnt/inner', '/mnt/inner', ''],
    ['/mnt/innermost', '/mnt', 'innermost'],
    ['/mnt2/x', '/mnt2', 'x'],
  ])('%s lies in %s', (path, mountpoint, inside) => {
    expect(placeOf(path, mountpoints)).toEqual({ path, mountpoint, inside });
  });

  it('lies in no mount, where there is none above it', () => {
    expect(placeOf('/', mountpoints)).toBe(null);
    expect(placeOf('/mn', mountpoints)).toBe(null);
  });

  it('lies in a mount of the root directory', () => {
    expect(placeOf('/a/b', ['/'])).toEqual({ path: '/a/b', mountpoint: '/', inside: 'a/b' });
  });
});

describe('a line of progress', () => {
  const output = (isTTY: boolean, columns?: number) => {
    const written: string[] = [];
    const out = { isTTY, write: (text: string) => written.push(text) };
    return { written, progress: new Progress(columns === undefined ? out : { ...out, columns }) };
  };

  it('replaces itself, fits the terminal, and is taken away', () => {
    const { written, progress } = output(true, 10);
    progress.show('1 of 2');
    progress.show('a long line of words');
    progress.clear();
    progress.clear();
    expect(written).toEqual(['\r\x1b[K1 of 2', '\r\x1b[Ka long li', '\r\x1b[K']);
  });

  it('is nothing where there is no terminal', () => {
    const { written, progress } = output(false);
    progress.show('1 of 2');
    progress.clear();
    expect(written).toEqual([]);
  });
});
