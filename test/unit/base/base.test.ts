import { describe, expect, it } from 'vitest';
import { bytesOf, decodeText, encodeText, toBuffer } from '../../../src/base/bytes.js';
import { errnoOf, FsError } from '../../../src/base/errno.js';
import {
  absolutePath,
  isValidName,
  isWithin,
  isWithinAbsolute,
  joinPath,
  nameOf,
  type Path,
  parentOf,
  rebase,
} from '../../../src/base/path.js';

const path = (text: string) => text as Path;

describe('byte strings', () => {
  it('keep every byte', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    expect(toBuffer(bytesOf(all)).equals(all)).toBe(true);
  });

  it('are shown as text where they are text, and safely where not', () => {
    expect(decodeText(encodeText('grüße'))).toBe('grüße');
    expect(decodeText(bytesOf(Buffer.from([0x61, 0xff, 0x62])))).toBe('a\\xffb');
    expect(decodeText(bytesOf(Buffer.from('a\u001b[31m\n')))).toBe('a\\x1b[31m\\x0a');
  });

  it('show each byte alone as itself only where it is printable ASCII', () => {
    for (let byte = 0; byte < 256; byte += 1) {
      const shown = byte >= 0x20 && byte <= 0x7e;
      const expected = shown ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
      expect(decodeText(bytesOf(Uint8Array.of(byte)))).toBe(expected);
    }
  });
});

describe('paths', () => {
  it('join and split', () => {
    expect(joinPath(path(''), path('a'))).toBe('a');
    expect(joinPath(path('a/b'), path('c'))).toBe('a/b/c');
    expect(parentOf(path('a/b/c'))).toBe('a/b');
    expect(parentOf(path('a'))).toBe('');
    expect(nameOf(path('a/b'))).toBe('b');
  });

  it('know what lies within what', () => {
    expect(isWithin(path('a/b'), path('a'))).toBe(true);
    expect(isWithin(path('ab'), path('a'))).toBe(false);
    expect(isWithin(path('a'), path(''))).toBe(true);
    expect(isWithinAbsolute(path('/a'), path('/'))).toBe(true);
    expect(isWithinAbsolute(path('/a/b'), path('/a'))).toBe(true);
    expect(isWithinAbsolute(path('/ab'), path('/a'))).toBe(false);
  });

  it('lie on the server below the mounted directory', () => {
    expect(absolutePath(path('/srv'), path('a/b'))).toBe('/srv/a/b');
    expect(absolutePath(path('/srv'), path(''))).toBe('/srv');
    expect(absolutePath(path('/'), path('a'))).toBe('/a');
    expect(absolutePath(path('/'), path(''))).toBe('/');
  });

  it('move with a renamed ancestor', () => {
    expect(rebase(path('a/b/c'), path('a'), path('x/y'))).toBe('x/y/b/c');
    expect(rebase(path('a'), path('a'), path('z'))).toBe('z');
  });

  it('refuse names that no directory holds', () => {
    expect(['', '.', '..', 'a/b', 'a\0b'].map((name) => isValidName(path(name)))).toEqual(
      Array(5).fill(false),
    );
    expect(isValidName(path('...'))).toBe(true);
  });
});

describe('errors', () => {
  it('carry this platform’s errno, and EIO for what was not meant', () => {
    expect(errnoOf(new FsError('ENOENT'))).toBe(2);
    expect(errnoOf(new TypeError('bug'))).toBe(5);
  });
});
