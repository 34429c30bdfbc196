/**
 * Programs that read trees, on real mounts: what they read is what the server has, and nearly all of it came before
 * they asked. Counted, not timed.
 */
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { MountFixture } from '../support/mount-fixture.js';
import { must, run } from '../support/run.js';

const LONG_AGO = new Date('2020-01-01T00:00:00Z');
const DIRECTORIES = 8;
const FILES = 25;
const ALL = DIRECTORIES * FILES;

const fixture = new MountFixture('ahead');
let tree: string;
let round = 0;

beforeEach(async () => {
  round += 1;
  tree = `tree-${round}`;
  for (let d = 0; d < DIRECTORIES; d += 1) {
    const directory = join(fixture.disk, tree, `dir${d}`);
    await mkdir(directory, { recursive: true });
    for (let f = 0; f < FILES; f += 1) {
      const file = join(directory, `file-${f}`);
      await writeFile(file, `content of ${d} ${f}\n`);
      await utimes(file, LONG_AGO, LONG_AGO);
    }
  }
});

/** OPENs and READs of files that the mount of this test waited for, and what it read ahead. */
async function told(): Promise<{ readonly opened: number; readonly ahead: number; readonly used: number }> {
  const { stdout } = await fixture.remora.run(['status', '--json']);
  const [report] = JSON.parse(stdout);
  const { fetched, used } = report.filesystem.prefetch;
  return { opened: report.requests.OPEN?.count ?? 0, ahead: fetched.files, used: used.files };
}

describe('a tree of small files', () => {
  it.each<[string, readonly [string, ...string[]]]>([
    ['tar', ['tar', '-cf', '-', '.']],
    ['grep', ['grep', '-rc', 'content', '.']],
    ['cp', ['cp', '-r', '.', 'COPY']],
    ['cat of sorted names', ['sh', '-c', 'cat */*']],
  ])('is read ahead of %s', async (_what, [program, ...args]) => {
    const { directory } = await fixture.mount();
    const copy = await fixture.scope.makeDirectory(`copy-${round}`);
    const words = args.map((word) => (word === 'COPY' ? copy : word));
    const there = await must(program, words, { cwd: join(fixture.disk, tree) });
    const here = await run(program, words, { cwd: join(directory, tree) });
    expect({ code: here.code, lines: here.stdout.split('\n').sort() }).toEqual({
      code: 0,
      lines: there.split('\n').sort(),
    });
    if (words.includes(copy)) await must('diff', ['-r', join(fixture.disk, tree), copy]);
    const { opened, used } = await told();
    expect(used).toBeGreaterThan(0.9 * ALL);
    expect(opened).toBeLessThan(1.05 * ALL);
  });

  it('is known to git after its status has read it once', async () => {
    const repository = join(fixture.disk, tree);
    const git = (cwd: string, ...args: string[]) =>
      must('git', ['-c', 'safe.directory=*', '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd });
    await git(repository, 'init', '-q', '.');
    await git(repository, 'add', '.');
    await git(repository, 'commit', '-qm', 'all');
    const { directory } = await fixture.mount();
    expect(await git(join(directory, tree), 'status', '--short')).toBe('');
    const first = await told();
    expect(first.used).toBeGreaterThan(0.9 * ALL);
    await writeFile(join(repository, 'dir3', 'file-7'), 'changed on the server\n');
    await fixture.remora.run(['refresh', directory]);
    expect(await git(join(directory, tree), 'status', '--short')).toBe(' M dir3/file-7\n');
  });
});

it('a file that is open and was never opened on the server outlives its name', async () => {
  const { directory } = await fixture.mount();
  const script = `
    cat ${tree}/dir0/file-1 > /dev/null
    exec 3< ${tree}/dir0/file-1
    mv ${tree}/dir0/file-2 ${tree}/dir0/file-1
    cat <&3; cat ${tree}/dir0/file-1`;
  expect(await must('sh', ['-c', script], { cwd: directory })).toBe('content of 0 1\ncontent of 0 2\n');
});
