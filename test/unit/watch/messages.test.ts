/** The lines of the programs that watch on a server: what they mean, and what is none of theirs. */
import { describe, expect, it } from 'vitest';
import { ascii, type ByteString } from '../../../src/base/bytes.js';
import { escaped, parseLine, parseSpoken } from '../../../src/watch/messages.js';

const line = (text: string) => parseLine(ascii(text));
const found = { permissions: 33188, size: 5, uid: 0, gid: 7, atime: 10, mtime: 11, nlink: 1 };

describe('a line of the script', () => {
  it.each<[string, unknown]>([
    ['~', { kind: 'overflow' }],
    ['=3 ef53 1500', { kind: 'watched', id: 3, type: 0xef53, quiet: 1500 }],
    ['!4 28', { kind: 'refused', id: 4, errno: 28 }],
    ['.9', { kind: 'answer', id: 9 }],
  ])('%s is understood', (text, message) => {
    expect(line(text)).toEqual(message);
  });

  it('tells what changed, and what is there now', () => {
    const change = { name: 'f', isDirectory: false, ofName: false, ofContent: true, found };
    expect(line('*2 2 33188,5,0,7,10,11,1 f')).toEqual({ kind: 'changed', id: 2, change });
  });

  it('tells that a directory is gone, and that the watched one changed itself', () => {
    expect(line('*2 40000200 - sub')).toMatchObject({
      change: { name: 'sub', isDirectory: true, ofName: true, found: null },
    });
    expect(line('*2 4 16877,4096,0,0,1,2,3 ')).toMatchObject({ change: { name: null, ofName: false } });
    expect(line('*2 8000 - ')).toMatchObject({ change: { name: null, ofName: true } });
  });

  it('shows times as SFTP does: 32 bits without a sign', () => {
    expect(line('*2 2 33188,5,0,7,-1,4294967297,1 f')).toMatchObject({
      change: { found: { atime: 0xffff_ffff, mtime: 1 } },
    });
  });

  it.each([
    '',
    'hello',
    '=3',
    '=3 xyz',
    '=3 ef53',
    '=3 ef53 -1',
    '=-3 ef53 0',
    '=3 ef53ef53ef53 0',
    '!3 x',
    '.x',
    '*2 2 33188 f',
    '*2 2 33188,5,0,7,10,11,1',
    '*2 2 - ../../etc/passwd',
    '*2 2 - ..',
    '*2 2 - a\0b',
    '*99999999999999999999 2 - f',
  ])('%j is none', (text) => {
    expect(line(text)).toBeNull();
  });

  it.each(['plain', 'a\nb', 'a\\nb', 'a\\', '\\b\n\\', '\xff\x01'])('%j comes through as it is', (name) => {
    expect(escaped(ascii(name))).not.toContain('\n');
    expect(line(`*2 100 - ${escaped(ascii(name))}`)).toMatchObject({ change: { name } });
  });
});

describe('a line of inotifywait', () => {
  const spoken = (text: string) => parseSpoken(text as ByteString);

  it('tells what changed where, names with bars included', () => {
    expect(spoken('MODIFY|/srv/a|b/|c|d')).toMatchObject({
      kind: 'changed',
      directory: '/srv/a|b',
      change: { name: 'c|d', ofContent: true, ofName: false, found: undefined },
    });
    expect(spoken('CREATE,ISDIR|/srv/|new')).toMatchObject({ change: { isDirectory: true, ofName: true } });
    expect(spoken('DELETE_SELF|/srv/|')).toMatchObject({ change: { name: null, ofName: true } });
  });

  it('tells how its start went', () => {
    expect(spoken('= 1021994 64:12')).toEqual({ kind: 'type', type: 0x1021994, inode: '64:12' });
    expect(spoken('= ffffffff9123683e ')).toEqual({ kind: 'type', type: 0x9123683e, inode: '' });
    expect(spoken('Watches established.')).toEqual({ kind: 'established' });
    expect(spoken("Couldn't watch /srv/a: b: No such file or directory")).toEqual({
      kind: 'missing',
      directory: '/srv/a: b',
    });
    expect(spoken('Failed to watch /srv; upper limit on inotify watches reached!')).toEqual({
      kind: 'limit',
    });
    expect(spoken('.12')).toEqual({ kind: 'answer', id: 12 });
  });

  it.each(['Q_OVERFLOW||', 'the rest of a name', 'NEWS|/srv/|x', 'MODIFY|/srv/|..', ''])(
    'takes %j for lost events',
    (text) => {
      expect(spoken(text)).toEqual({ kind: 'overflow' });
    },
  );
});
