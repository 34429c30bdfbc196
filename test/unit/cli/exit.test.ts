import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FsError } from '../../../src/base/errno.js';
import { CommandError, EXIT, failureOf } from '../../../src/cli/exit.js';
import { HELP } from '../../../src/cli/help.js';
import { remoteFailure } from '../../../src/cli/remote-root.js';
import { OptionError } from '../../../src/config/errors.js';
import { MountError } from '../../../src/fuse/mount/errors.js';
import { ConnectError } from '../../../src/ssh/errors.js';

describe('the exit table', () => {
  it('has one code for each end, all of them possible for a process', () => {
    const codes = Object.values(EXIT).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
    expect(codes.every((code) => Number.isInteger(code) && code >= 0 && code <= 255)).toBe(true);
  });

  it('is documented row by row', () => {
    const page = readFileSync(new URL('../../../docs/COMMANDS.md', import.meta.url), 'utf8');
    for (const { code, meaning } of Object.values(EXIT)) expect(page).toContain(`| ${code} | ${meaning} |`);
    const rows = page.match(/^\| \d+ \|/gm) ?? [];
    expect(rows).toHaveLength(Object.keys(EXIT).length);
  });

  it('leaves the help short', () => {
    const lines = HELP.split('\n');
    expect(lines.length).toBeLessThan(66);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});

describe('what was thrown becomes an exit', () => {
  it.each([
    [new CommandError('busy', 'in use'), 'busy', 'in use'],
    [new OptionError('unknown option'), 'usage', 'unknown option'],
    [new ConnectError('host-key-changed', 'changed'), 'host-key-changed', 'changed'],
    [new MountError('no-device', 'no /dev/fuse'), 'no-device', 'no /dev/fuse'],
    [new FsError('EIO'), 'failure', 'EIO'],
    [new FsError('EIO', 'lost'), 'failure', 'lost (EIO)'],
    [new TypeError('oops'), 'failure', 'oops'],
    ['text', 'failure', 'text'],
  ])('%s', (thrown, exit, message) => {
    expect(failureOf(thrown)).toMatchObject({ exit, message });
  });

  it.each([
    ['ENOENT', 'remote-missing'],
    ['ENOTDIR', 'remote-not-directory'],
    ['EACCES', 'remote-permission'],
    ['EIO', 'failure'],
  ] as const)('a remote directory with %s', (code, exit) => {
    const failure = remoteFailure('host:dir', new FsError(code));
    expect(failure.exit).toBe(exit);
    expect(failure.message).toMatch(/^host:dir: /);
  });
});
