/** Where symbolic links may lead: the rule by itself, and beside what a real filesystem makes of its answers. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { contain, LinkGuard } from '../../../src/fs/containment.js';
import { path } from '../../support/direct-filesystem.js';

const rules = {
  mode: 'share',
  transform: false,
  root: ascii('/srv/data'),
  mountpoint: ascii('/home/me/mnt'),
} as const;
const judged = (link: string, target: string, changes = {}) =>
  contain({ ...rules, ...changes }, path(link), ascii(target));

describe('share', () => {
  it.each([
    ['l', 'x'],
    ['l', './x//y/'],
    ['d/l', '..'],
    ['d/e/l', '../../x'],
    ['d/l', '../././x'],
    ['d/l', '..a/b..'],
    ['node_modules/.bin/tsc', '../typescript/bin/tsc'],
    ['d/l', '/home/me/mnt/x'],
    ['l', '/home/me/mnt'],
  ])('%s -> %s is given as it is', (link, target) => {
    expect(judged(link, target)).toBe(target);
  });

  it.each([
    ['l', '/srv/data/x', 'x'],
    ['d/e/l', '/srv/data/x/y', '../../x/y'],
    ['d/l', '/srv/data', '..'],
    ['l', '/srv/data/', '.'],
    ['d/l', '//srv/./data//x/', '../x/'],
    ['d/e/l', '/srv/data/d/x', '../x'],
    ['d/e/l', '/srv/data/d/e/x', 'x'],
    ['d/e/l', '/srv/data/d/e', '.'],
    ['d/e/l', '/srv/data/d/', '..'],
  ])('%s -> %s becomes %s', (link, target, given) => {
    expect(judged(link, target)).toBe(given);
  });

  it.each([
    ['l', '..'],
    ['d/l', '../../x'],
    ['d/e/l', '../../../etc/passwd'],
    ['l', '/etc/passwd'],
    ['l', '/'],
    ['l', '/srv'],
    ['l', '/srv/database'],
    ['l', '/srv/data/../x'],
    ['l', '/srv/data/x/../../y'],
    ['l', '/home/me/mnt/../.ssh/id_rsa'],
    // The name may be a link to the root, whatever the server says it is at another time.
    ['l', 'x/..'],
    ['d/e/l', 'x/../y'],
  ])('%s -> %s is refused', (link, target) => {
    expect(judged(link, target)).toBeNull();
  });

  it('of a whole server makes every absolute target relative', () => {
    expect(judged('d/l', '/etc/passwd', { root: '/' })).toBe('../etc/passwd');
    expect(judged('d/l', '/', { root: '/' })).toBe('..');
  });
});

describe('relative, the default', () => {
  it.each([
    ['l', 'x'],
    ['l', '/etc/passwd'],
    ['l', '/srv/data/x'],
    ['d/l', '../x'],
    ['l', 'x/../y'],
    ['l', "a'b//../ nothing"],
    ['d/e/l', '../../x'],
  ])('%s -> %s is given as it is', (link, target) => {
    expect(judged(link, target, { mode: 'relative' })).toBe(target);
  });

  it.each([
    ['l', '..'],
    ['l', '../x'],
    ['d/l', '../../x'],
    ['d/l', 'x/../../../y'],
    ['d/e/l', '../../../etc/passwd'],
  ])('%s -> %s is refused', (link, target) => {
    expect(judged(link, target, { mode: 'relative' })).toBeNull();
  });
});

describe('transform_symlinks', () => {
  it.each([
    ['none', 'd/l', '/srv/data/x', '../x'],
    ['none', 'd/l', '/srv/data/../etc', '/srv/data/../etc'],
    ['none', 'd/l', '/etc', '/etc'],
    ['relative', 'd/l', '/srv/data/d/x', 'x'],
    ['relative', 'd/l', '/srv/database', '/srv/database'],
    ['relative', 'd/l', '../../x', null],
    ['strict', 'd/l', '/srv/data/x', '../x'],
    ['strict', 'd/l', '/etc', null],
  ])('with %s: %s -> %s becomes %s', (mode, link, target, given) => {
    expect(judged(link, target, { mode, transform: true })).toBe(given);
  });
});

it('strict refuses what is absolute, none refuses nothing', () => {
  expect(judged('d/l', '../x', { mode: 'strict' })).toBe('../x');
  for (const target of ['/srv/data/x', '/home/me/mnt/x', '../../x']) {
    expect(judged('d/l', target, { mode: 'strict' })).toBeNull();
    expect(judged('d/l', target, { mode: 'none' })).toBe(target);
  }
});

describe('the guard', () => {
  const fails = () => Promise.reject(new Error('no such file'));

  it('makes a refused link EXDEV, and names it once in the log, with the way out', async () => {
    const report = vi.fn();
    const guard = new LinkGuard(rules, report);
    const judge = (link: string, target: string) => guard.judge(path(link), ascii(target), fails);
    for (const _ of [1, 2])
      await expect(judge('d/l', '/etc/\x1bpasswd')).rejects.toMatchObject({ code: 'EXDEV' });
    expect(report.mock.calls).toEqual([
      [expect.stringMatching(/^d\/l: .* to \/etc\/\\x1bpasswd; with -o contain_symlinks=none/)],
    ]);
    for (let n = 0; n < 1000; n += 1) await expect(judge(`l${n}`, '/x')).rejects.toThrow();
    expect(report).toHaveBeenCalledTimes(100);
    expect(report.mock.lastCall?.[0]).toContain('no further ones');
  });

  it.each<[string, string, string | null]>([
    ['x/../y', '/srv/data/z/y', '../z/y'],
    ['/home/alias/y', '/srv/data/y', '../y'],
    ['/home/alias/y', '/home/elsewhere/y', null],
    ['x/../y', '/srv/data/z/../../etc', null],
    ['x/../y', '../../etc', null],
  ])('asks the server where %s ends: %s', async (target, end, told) => {
    const guard = new LinkGuard(rules, () => undefined);
    const asked = guard.judge(path('d/l'), ascii(target), async () => ascii(end));
    if (told === null) await expect(asked).rejects.toMatchObject({ code: 'EXDEV' });
    else expect(await asked).toBe(told);
  });

  it('does not ask about links that are clear, nor when strict', async () => {
    const resolve = vi.fn(fails);
    await new LinkGuard(rules, () => undefined).judge(path('l'), ascii('x'), resolve);
    const strict = new LinkGuard({ ...rules, mode: 'strict' }, () => undefined);
    await expect(strict.judge(path('l'), ascii('x/../y'), resolve)).rejects.toThrow();
    expect(resolve).not.toHaveBeenCalled();
  });
});

describe('beside a real filesystem', () => {
  const DIRECTORIES = ['', 'a', 'a/b'];
  const PLACES = DIRECTORIES.flatMap((each) =>
    ['l', 'm'].map((name) => (each === '' ? name : `${each}/${name}`)),
  );
  const component = fc.constantFrom('..', '..', 'a', 'a', 'b', 'l', 'm', '.', '');
  const targets = fc.record({
    kind: fc.constantFrom('relative', 'relative', 'server', 'mount', 'elsewhere'),
    parts: fc.array(component, { minLength: 1, maxLength: 4 }),
  });
  const links = fc.dictionary(fc.constantFrom(...PLACES), targets, { minKeys: 3, noNullPrototype: true });

  /** `directories` and `links` below `root`, where there is also something outside to reach. */
  function grow(base: string, root: string, entries: Iterable<readonly [string, string]>): void {
    mkdirSync(join(base, 'out'), { recursive: true });
    for (const each of DIRECTORIES) mkdirSync(join(root, each), { recursive: true });
    for (const [place, target] of entries) symlinkSync(target, join(root, place));
  }

  const resolved = (file: string): string | null => {
    try {
      return realpathSync.native(file);
    } catch {
      return null;
    }
  };

  it('no walk leaves the mount, and what is inside on the server leads to the same place', () => {
    const home = realpathSync(mkdtempSync(join(tmpdir(), 'remora-contain-')));
    let runs = 0;
    try {
      fc.assert(
        fc.property(links, fc.array(component, { maxLength: 3 }), (given, walk) => {
          runs += 1;
          const server = join(home, `${runs}`, 'server', 'root');
          const mount = join(home, `${runs}`, 'here', 'mount');
          const prefix = {
            relative: '',
            server: `${server}/`,
            mount: `${mount}/`,
            elsewhere: `${dirname(mount)}/`,
          };
          const originals = Object.entries(given).map(([place, { kind, parts }]) => {
            return [place, prefix[kind as keyof typeof prefix] + parts.join('/') || '.'] as const;
          });
          grow(dirname(server), server, originals);
          const bounds = {
            mode: 'share',
            transform: false,
            root: ascii(server),
            mountpoint: ascii(mount),
          } as const;
          const shown = originals.flatMap(([place, target]) => {
            const told = contain(bounds, path(place), ascii(target));
            return told === null ? [] : [[place, told] as const];
          });
          grow(dirname(mount), mount, shown);
          for (const place of PLACES) {
            // A program walks on from a link by names; its own `..` is the program's business.
            const way = [place, ...walk.filter((part) => part !== '..')].join('/');
            const here = resolved(join(mount, way));
            if (here === null) continue;
            expect(`${here}/`.startsWith(`${mount}/`)).toBe(true);
            const there = resolved(join(server, way));
            const isOnlyOurs = originals.some(([, target]) => target.startsWith(mount));
            if (!isOnlyOurs && there !== null) {
              expect(here.slice(mount.length)).toBe(there.slice(server.length));
            }
          }
        }),
        { numRuns: 500 },
      );
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });
});
