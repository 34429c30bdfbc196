/** The model of names: it agrees with a real directory, allows both outcomes of a doubtful call, and no third. */
import {
  link,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  rmdir,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Random } from '../../soak/random.js';
import { type Operation, type Outcome, Worlds } from '../../soak/worlds.js';

const ok: Outcome = { errno: null, value: '' };
const failed = (errno: string): Outcome => ({ errno, value: '' });
const shows = (value: string): Outcome => ({ errno: null, value });

describe('possible worlds', () => {
  it('a call that succeeded has happened', () => {
    const worlds = new Worlds();
    expect(worlds.learn({ op: 'mkdir', path: 'a' }, ok)).toBe(null);
    expect(worlds.learn({ op: 'mkdir', path: 'a' }, ok)).toBe('mkdir a: success instead of EEXIST');
    expect(worlds.learn({ op: 'mkdir', path: 'a' }, failed('EEXIST'))).toBe(null);
    expect(worlds.learn({ op: 'look', path: 'a' }, shows('absent'))).toContain(
      '"absent" instead of "directory"',
    );
  });

  it('a doubtful call has happened or not, until somebody looks; then it stays so', () => {
    const worlds = new Worlds();
    worlds.doubt({ op: 'create', path: 'a', file: 1 });
    worlds.doubt({ op: 'rename', from: 'a', to: 'b' });
    expect(worlds.possible).toHaveLength(3);
    expect(worlds.learn({ op: 'look', path: 'a' }, shows('absent'))).toBe(null);
    expect(worlds.possible).toHaveLength(2);
    expect(worlds.learn({ op: 'look', path: 'b' }, shows('file '))).toBe(null);
    expect(worlds.possible).toHaveLength(1);
    expect(worlds.learn({ op: 'create', path: 'a', file: 2 }, failed('EEXIST'))).toContain(
      'instead of success',
    );
  });

  it('two names of one file hold the same, and renaming one over the other does nothing', () => {
    const worlds = new Worlds();
    worlds.learn({ op: 'create', path: 'a', file: 1 }, ok);
    worlds.learn({ op: 'link', from: 'a', to: 'b' }, ok);
    worlds.learn({ op: 'fill', path: 'b', text: 'same' }, ok);
    expect(worlds.learn({ op: 'rename', from: 'a', to: 'b' }, ok)).toBe(null);
    expect(worlds.learn({ op: 'look', path: 'a' }, shows('file same'))).toBe(null);
  });
});

describe('against a local directory', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'remora-worlds-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const NAMES = ['a', 'b', 'c', 'a/x', 'a/y', 'b/x'];

  async function call(operation: Operation): Promise<string> {
    const at = (path: string) => join(directory, path);
    switch (operation.op) {
      case 'mkdir':
        return mkdir(at(operation.path)).then(() => '');
      case 'rmdir':
        return rmdir(at(operation.path)).then(() => '');
      case 'unlink':
        return unlink(at(operation.path)).then(() => '');
      case 'create':
        return writeFile(at(operation.path), '', { flag: 'wx' }).then(() => '');
      case 'fill':
        return writeFile(at(operation.path), operation.text, { flag: 'r+' }).then(() => '');
      case 'symlink':
        return symlink(operation.target, at(operation.path)).then(() => '');
      case 'link':
        return link(at(operation.from), at(operation.to)).then(() => '');
      case 'rename':
        return rename(at(operation.from), at(operation.to)).then(() => '');
      case 'list':
        return (await readdir(at(operation.path))).sort().join(' ');
      case 'look':
        throw new Error('not asked here');
    }
  }

  it('the rules are those of the kernel, for thousands of calls', async () => {
    const seed = Math.random().toString(36).slice(2);
    const random = new Random(seed);
    const worlds = new Worlds();
    for (let step = 0; step < 3_000; step++) {
      const [path, from, to] = [random.pick(NAMES), random.pick(NAMES), random.pick(NAMES)];
      const isLink = worlds.possible.some(({ names }) => names.get(from)?.is === 'link');
      const operation = random.pick<Operation>([
        { op: 'mkdir', path },
        { op: 'rmdir', path },
        { op: 'unlink', path },
        { op: 'create', path, file: step },
        { op: 'fill', path, text: `text ${String(step).padStart(6)}` },
        { op: 'symlink', path, target: `nowhere-${step}` },
        { op: 'rename', from, to },
        { op: isLink ? 'rename' : 'link', from, to },
        { op: 'list', path },
      ]);
      const outcome = await call(operation).then(
        (value): Outcome => ({ errno: null, value }),
        (error: NodeJS.ErrnoException): Outcome => failed(error.code ?? ''),
      );
      expect(worlds.learn(operation, outcome), `seed ${seed}, step ${step}`).toBe(null);
    }
  });
});
