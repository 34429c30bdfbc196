/** What mount(8) says to its helper, and hears from it. */
import { describe, expect, it } from 'vitest';
import { EXIT, type ExitName } from '../../../../src/cli/exit.js';
import { mountStatus, parseHelperArguments } from '../../../../src/cli/system/helper-arguments.js';

const ofMount = ['me@host:/srv', '/mnt'];

describe('parseHelperArguments', () => {
  it('takes what util-linux says, flags joined or not', () => {
    const plain = {
      command: 'mount',
      target: 'me@host:/srv',
      mountpoint: '/mnt',
      options: [],
      foreground: false,
      debug: false,
      verbose: false,
      isFake: false,
    };
    expect(parseHelperArguments(ofMount)).toEqual(plain);
    expect(parseHelperArguments([...ofMount, '-s', '-n', '-t', 'fuse.remora'])).toEqual(plain);
    expect(parseHelperArguments([...ofMount, '-sfnv', '-o', 'rw,users', '-o', 'a=b\\,c'])).toEqual({
      ...plain,
      isFake: true,
      verbose: true,
      options: ['rw,users', 'a=b\\,c'],
    });
  });

  it.each([
    [['me@host:/srv'], 'a source and a directory are needed'],
    [[...ofMount, '/other'], 'a source and a directory are needed'],
    [[...ofMount, '-d'], "Unknown option '-d': mount.fuse.remora SOURCE"],
    [[...ofMount, '-o'], 'argument missing: mount.fuse.remora SOURCE'],
    [[...ofMount, '-N', '/proc/7/ns/mnt'], 'nsenter --mount=/proc/7/ns/mnt'],
  ])('refuses %j', (argv, reason) => {
    expect(() => parseHelperArguments(argv)).toThrow(
      expect.objectContaining({ exit: 'usage', message: expect.stringContaining(reason) }),
    );
  });
});

it('mountStatus knows the four that mount(8) has for it', () => {
  const names = Object.keys(EXIT) as ExitName[];
  const others = names.filter((name) => !['ok', 'usage', 'interrupted'].includes(name));
  expect([mountStatus('ok'), mountStatus('usage'), mountStatus('interrupted')]).toEqual([0, 1, 8]);
  expect(new Set(others.map(mountStatus))).toEqual(new Set([32]));
});
