/** What a program has open when the connection is lost, on a real sshd: it goes on, or is told that it is stale. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FaultFixture, MEBIBYTE } from '../support/faults/fixture.js';
import { killSessions, replaceFile, shutDown } from '../support/faults/server.js';
import { must } from '../support/run.js';

const world = new FaultFixture('faults-open');

describe('what is open when the connection is lost', () => {
  it('stays open: files for reading and writing, directories, a working directory', async () => {
    await writeFile(world.onDisk('read'), 'abcdefghijklmnopqrstuvwxyz'.repeat(100_000));
    await mkdir(world.onDisk('many'));
    await Promise.all(
      Array.from({ length: 300 }, (__, index) => writeFile(world.onDisk(`many/f${index}`), '')),
    );
    await world.mount();
    const program = world.program(
      `
os.chdir(sys.argv[1])
reading = os.open('read', os.O_RDONLY)
first = os.read(reading, 26)
writing = os.open('written', os.O_RDWR | os.O_CREAT)
os.write(writing, b'before, ')
entries = os.scandir('many')
names = [next(entries).name for _ in range(5)]
os.chdir('many')
step()
assert first == os.pread(reading, 26, 26 * 99_999), 'read'
os.write(writing, b'and after')
os.fsync(writing)
assert os.pread(writing, 100, 0) == b'before, and after', 'written'
names += [entry.name for entry in entries]
assert len(names) == len(set(names)) == 300, 'names'
assert len(os.listdir('.')) == 300, 'listed'
os.close(writing)
print('well')`,
      world.mounted.directory,
    );
    await program.ready();
    await killSessions(world.sshd);
    program.next();
    expect(await program.end()).toBe('well');
    expect(await readFile(world.onDisk('written'), 'utf8')).toBe('before, and after');
    await world.worksAndEnds();
  });

  it('follows a file that was renamed through the mount', async () => {
    await world.mount();
    const program = world.program(
      `
fd = os.open(sys.argv[1] + '/old', os.O_RDWR | os.O_CREAT)
os.write(fd, b'one ')
os.rename(sys.argv[1] + '/old', sys.argv[1] + '/new')
step()
os.write(fd, b'two')
os.fsync(fd)
print(os.pread(fd, 9, 0).decode())`,
      world.mounted.directory,
    );
    await program.ready();
    await killSessions(world.sshd);
    program.next();
    expect(await program.end()).toBe('one two');
    expect(await readFile(world.onDisk('new'), 'utf8')).toBe('one two');
    await world.worksAndEnds();
  });

  const FILE_SIZE = 64 * MEBIBYTE;
  const OTHER = 'another file, and a longer one';
  const behindOurBack = [
    ['replaced', OTHER, () => replaceFile(world.onDisk('file'), OTHER)],
    ['removed', 'nothing', () => rm(world.onDisk('file'))],
  ] as const;

  /** Runs `code` on an open descriptor of `file`, which is changed on the server while it is away. */
  async function meanwhile(change: () => Promise<void>, code: string): Promise<readonly string[]> {
    await must('truncate', ['-s', String(FILE_SIZE), world.onDisk('file')]);
    await world.mount();
    const program = world.program(
      `
path = sys.argv[1] + '/file'
fd = os.open(path, os.O_RDWR)
os.pread(fd, 10, 0)
step()
${code}
try: print(open(path).read())
except FileNotFoundError: print('nothing')`,
      world.mounted.directory,
    );
    await program.ready();
    await shutDown(world.sshd);
    await change();
    await world.sshd.resume();
    program.next();
    return (await program.end()).split('\n');
  }

  it.each(behindOurBack)('is ESTALE to read when it was %s, and is said once', async (_, now, change) => {
    const code = `print(outcome(os.pread, fd, 10, ${FILE_SIZE / 2}), outcome(os.pread, fd, 10, ${FILE_SIZE - 10}))`;
    expect(await meanwhile(change, code)).toEqual(['ESTALE ESTALE', now]);
    const log = await must('sh', ['-c', 'cat "$1"/*.log', 'sh', join(world.remora.home, 'state', 'remora')]);
    expect(log.match(/file is stale/g)).toHaveLength(1);
    await world.worksAndEnds();
  });

  it.each(behindOurBack)(
    'is ESTALE to write when it was %s: no byte reaches another file',
    async (_, now, change) => {
      const code =
        "print([outcome(os.pwrite, fd, b'lost', 0), outcome(os.fsync, fd), outcome(os.close, fd)])";
      const [told, ...rest] = await meanwhile(change, code);
      expect(told).toContain('ESTALE');
      expect(rest).toEqual([now]);
      await world.worksAndEnds();
    },
  );
});
