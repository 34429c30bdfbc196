/**
 * What the kernel keeps of a mount and when it lets go: listings, link targets, attributes. The files of
 * `/trusted` are trusted for an hour, so what is seen there anew was taken back, and has not merely expired.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MountedMemory } from '../support/memfs.js';
import { must, until } from '../support/run.js';
import { Scope } from '../support/scope.js';

let scope: Scope;
let mounted: MountedMemory;

beforeAll(async () => {
  scope = await Scope.open('kernel-cache');
  mounted = await MountedMemory.serve(scope);
  await must('mkdir', [join(mounted.mountpoint, 'trusted')]);
});
afterAll(() => scope.close());

const at = (path: string): string => join(mounted.mountpoint, path);
const sh = (script: string, ...args: string[]): Promise<string> =>
  must('sh', ['-euc', `cd "$0"; ${script}`, mounted.mountpoint, ...args]);
const list = async (path: string): Promise<string[]> =>
  (await must('ls', ['-1', at(path)])).trim().split('\n').filter(Boolean);

/** How many requests of these opcodes `work` causes. */
async function asked(work: () => Promise<unknown>, ...opcodes: string[]): Promise<number> {
  const sum = async () => {
    const count = await mounted.requests();
    return opcodes.reduce((total, opcode) => total + count(opcode), 0);
  };
  const before = await sum();
  await work();
  return (await sum()) - before;
}
const READING = ['READDIR', 'READDIRPLUS'] as const;

describe('a listing', () => {
  it('is read once while the directory stays as it is', async () => {
    await sh('mkdir trusted/many; cd trusted/many; seq -f name-%04g 1 500 | xargs touch');
    const names = await list('trusted/many');
    expect(names).toHaveLength(500);
    expect(await asked(async () => expect(await list('trusted/many')).toEqual(names), ...READING)).toBe(0);
    expect(await asked(() => must('find', [at('trusted/many')]), ...READING)).toBe(0);
    expect(await asked(() => list('trusted/many'), 'OPENDIR')).toBe(1);
  });

  it('shows at once what is made, renamed and removed through the mount', async () => {
    await sh('mkdir trusted/own; touch trusted/own/a');
    expect(await list('trusted/own')).toEqual(['a']);
    await sh('touch trusted/own/b');
    expect(await list('trusted/own')).toEqual(['a', 'b']);
    await sh('mv trusted/own/a trusted/own/c');
    expect(await list('trusted/own')).toEqual(['b', 'c']);
    await sh('rm trusted/own/b');
    expect(await list('trusted/own')).toEqual(['c']);
  });

  it('is read anew when the filesystem says at OPENDIR that it has changed', async () => {
    await sh('mkdir trusted/theirs; touch trusted/theirs/a');
    expect(await list('trusted/theirs')).toEqual(['a']);
    await mounted.command('foreign', 'trusted/theirs/b', 'new');
    expect(
      await asked(async () => expect(await list('trusted/theirs')).toEqual(['a', 'b']), ...READING),
    ).toBeGreaterThan(0);
  });

  it('is dropped by invalidateData, whatever OPENDIR says', async () => {
    await sh('mkdir trusted/told; touch trusted/told/a');
    await list('trusted/told');
    await mounted.command('invalidate', 'invalidateData', 'trusted/told');
    await until(
      'the kernel to have forgotten',
      async () => (await asked(() => list('trusted/told'), ...READING)) > 0,
    );
  });

  it('is whole for many readers at once, kept or not', async () => {
    await sh('mkdir trusted/crowd; cd trusted/crowd; seq -f a-rather-long-name-%04g 1 2000 | xargs touch');
    for (const round of ['fresh', 'kept']) {
      const listings = await Promise.all(Array.from({ length: 8 }, () => list('trusted/crowd')));
      for (const names of listings) {
        expect(new Set(names).size, round).toBe(2000);
        expect(names, round).toHaveLength(2000);
      }
    }
  });

  it('can be walked by telldir, seekdir and rewinddir, kept or not', async () => {
    await sh('mkdir trusted/walk; cd trusted/walk; seq -f name-%04g 1 700 | xargs touch');
    const walk = `
      opendir(my $d, $ARGV[0]) or die; my (@names, @places);
      for (;;) { push @places, telldir $d; my $name = readdir $d; last unless defined $name; push @names, $name }
      for my $i (reverse 0 .. $#names) { seekdir $d, $places[$i]; readdir($d) eq $names[$i] or die "at $i" }
      rewinddir $d; my @again = readdir $d; "@again" eq "@names" or die "rewound"; print scalar @names`;
    for (let round = 0; round < 2; round++) {
      expect(await must('perl', ['-e', walk, at('trusted/walk')])).toBe('702');
    }
  });
});

describe('the target of a symbolic link', () => {
  it('is read once, and again after invalidateData', async () => {
    await sh('ln -s before trusted/link');
    const target = async () => (await must('readlink', [at('trusted/link')])).trim();
    expect(await target()).toBe('before');
    expect(await asked(target, 'READLINK')).toBe(0);
    await mounted.command('foreign', 'trusted/link', 'behind');
    expect(await target()).toBe('before');
    await mounted.command('invalidate', 'invalidateData', 'trusted/link');
    await until('the new target', async () => (await target()) === 'behind');
  });
});

describe('attributes', () => {
  it('are asked for again after invalidateAttributes, and not before', async () => {
    await sh('echo content > trusted/file');
    const size = async () => (await must('stat', ['-c', '%s', at('trusted/file')])).trim();
    expect(await size()).toBe('8');
    expect(await asked(size, 'GETATTR', 'LOOKUP')).toBe(0);
    await mounted.command('foreign', 'trusted/file', 'longer content');
    expect(await size()).toBe('8');
    await mounted.command('invalidate', 'invalidateAttributes', 'trusted/file');
    await until('the new size', async () => (await size()) === '14');
  });
});
