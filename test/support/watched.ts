/** A filesystem in this process whose server is watched, and what the watch tells of it. */
import { lstat, mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { isDirectory } from '../../src/base/mode.js';
import type { Found } from '../../src/fs/elsewhere.js';
import type { FsOptions } from '../../src/fs/options.js';
import { type DirectFileSystem, LONG_AGO, list, openDirect, path } from './direct-filesystem.js';

export const SECOND = 1000;

/** What a watch finds at a path of the server's disk. */
export async function foundAt(file: string): Promise<Found | null> {
  const stat = await lstat(file).catch(() => null);
  return (
    stat && {
      permissions: stat.mode,
      size: stat.size,
      uid: stat.uid,
      gid: stat.gid,
      atime: Math.floor(stat.atimeMs / 1000),
      mtime: Math.floor(stat.mtimeMs / 1000),
      nlink: stat.nlink,
    }
  );
}

/** A filesystem over a directory with files `f` and `g` and a directory `d`, which somebody watches, root included. */
export class Watched {
  readonly direct: DirectFileSystem;

  private constructor(direct: DirectFileSystem) {
    this.direct = direct;
  }

  static async open(options: Partial<FsOptions> = {}): Promise<Watched> {
    const direct = await openDirect(options);
    await mkdir(join(direct.disk, 'd'));
    for (const name of ['f', 'g', 'd/x']) {
      await writeFile(join(direct.disk, name), 'content');
      await utimes(join(direct.disk, name), LONG_AGO, LONG_AGO);
    }
    const watched = new Watched(direct);
    watched.begin('', 'd');
    await watched.list('');
    return watched;
  }

  begin(...directories: string[]): void {
    this.beginQuiet(0, ...directories);
  }

  /** Nothing came or went in them for `quiet` milliseconds. */
  beginQuiet(quiet: number, ...directories: string[]): void {
    const { fs, clock } = this.direct;
    for (const directory of directories) expect(fs.elsewhere.watched(path(directory), quiet)).toBe(true);
    clock.advance(1);
    fs.elsewhere.proved(clock.monotonic());
  }

  /** Time goes by, with an answer of the watch every few seconds. */
  pass(milliseconds: number): void {
    const { fs, clock } = this.direct;
    for (let left = milliseconds; left > 0; left -= 5 * SECOND) {
      clock.advance(Math.min(left, 5 * SECOND));
      fs.elsewhere.proved(clock.monotonic());
    }
  }

  /** What the watch tells of `name` in `directory` as it is now; without `found` where it does not look. */
  async tell(directory: string, name: string, what: 'name' | 'content' | 'attributes', looks = true) {
    const found = await foundAt(join(this.direct.disk, directory, name));
    this.direct.fs.elsewhere.changed({
      directory: path(directory),
      name: path(name),
      isDirectory: isDirectory(found?.permissions ?? 0),
      ofName: what === 'name',
      ofContent: what === 'content',
      found: looks ? found : undefined,
    });
  }

  async list(directory: string): Promise<string[]> {
    return (await list(this.direct, directory)).sort();
  }

  async size(name: string): Promise<number | null> {
    return (await this.direct.fs.lookup(path(name))).attributes?.size ?? null;
  }

  /** The requests that `work` costs. */
  async asked(work: () => Promise<unknown>): Promise<readonly string[]> {
    const { requests } = this.direct;
    requests.length = 0;
    await work();
    return [...requests];
  }
}
