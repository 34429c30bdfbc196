import { describe, expect, it } from 'vitest';
import { loadFuseNative } from '../../../src/libfuse/addon.js';

/** A `require` that knows these modules only. */
function requireOf(modules: Readonly<Record<string, unknown>>): NodeJS.Require {
  const missing = (name: string) => Object.assign(new Error(`Cannot find module '${name}'\nstack`), {});
  const require = (name: string) => {
    const found = modules[name];
    if (found === undefined) throw missing(name);
    if (found instanceof Error) throw found;
    return found;
  };
  const resolve = (name: string) => {
    throw missing(name);
  };
  return Object.assign(require, { resolve }) as unknown as NodeJS.Require;
}

describe('loading fuse-native', () => {
  it.each([
    [
      'it is not installed',
      {},
      /needs fuse-native 2\.2\.6: it is not installed \(npm install --ignore-scripts fuse-native@2\.2\.6\)$/,
    ],
    [
      'another version is',
      { 'fuse-native/package.json': { version: '3.0.0' } },
      /version 3\.0\.0 is installed \(npm install/,
    ],
    [
      'its binary does not load',
      {
        'fuse-native/package.json': { version: '2.2.6' },
        'fuse-native': new Error('libfuse.so.2: cannot open shared object file\nmore'),
      },
      /cannot be loaded: libfuse\.so\.2: cannot open shared object file$/,
    ],
  ])('says in one sentence that %s', (_, modules, sentence) => {
    expect(() => loadFuseNative(requireOf(modules))).toThrow(
      expect.objectContaining({ kind: 'no-driver', message: expect.stringMatching(sentence) }),
    );
  });
});
