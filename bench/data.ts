/**
 * What the server serves: files and trees with content that does not compress, made once and when first
 * needed, directly in the server's directory. Scenarios that change something make a fresh copy each time.
 */
import { createHash, randomFillSync } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { cp, mkdir, open, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from '../test/support/run.js';
import type { Shape } from './sizes.js';

const BLOCK = 2 ** 20;
/** More than anybody reads here within a cap. */
const ENDLESS = 2 ** 40;
/** Minutes are plenty for what is made at the server's own disk. */
const PATIENCE = 600_000;
/** Makes git independent of whoever runs the bench. */
export const GIT_ENVIRONMENT: Readonly<Record<string, string>> = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'bench',
  GIT_AUTHOR_EMAIL: 'bench@example.org',
  GIT_COMMITTER_NAME: 'bench',
  GIT_COMMITTER_EMAIL: 'bench@example.org',
};

export class Data {
  /** The directory that is mounted. */
  readonly root: string;
  readonly #made = new Map<string, Promise<void>>();

  constructor(root: string) {
    this.root = root;
  }

  /** Absolute path at the server. */
  at(...names: readonly string[]): string {
    return join(this.root, ...names);
  }

  /** The name of a file of `bytes` bytes. */
  async file(bytes: number, which: 'first' | 'second' = 'first'): Promise<string> {
    const name = `file-${bytes}-${which}`;
    await this.#once(name, () => writeBlocks(this.at(name), bytes));
    return name;
  }

  /** The name of a file whose end nobody reaches, so that no page of it is read twice: a hole, which takes no room. */
  async endless(): Promise<string> {
    const name = 'endless';
    await this.#once(name, async () => {
      await writeFile(this.at(name), '');
      await truncate(this.at(name), ENDLESS);
    });
    return name;
  }

  /** The name of a tree of that shape. */
  async tree(shape: Shape): Promise<string> {
    const name = `tree-${shape.directories}-${shape.files}-${shape.bytes}`;
    await this.#once(name, () => plant(this.at(name), shape));
    return name;
  }

  /** The name of a git repository of one commit, whose work tree has that shape. */
  async repository(shape: Shape): Promise<string> {
    const name = `repository-${shape.files}`;
    await this.#once(name, async () => {
      const options = { cwd: this.at(name), env: GIT_ENVIRONMENT, timeout: PATIENCE };
      await plant(this.at(name), shape);
      await must('git', ['init', '-q', '-b', 'main', '.'], options);
      await must('git', ['add', '-A'], options);
      await must('git', ['commit', '-q', '-m', 'all'], options);
    });
    return name;
  }

  /** The name of one directory of `count` empty files. */
  async crowd(count: number): Promise<string> {
    const name = `crowd-${count}`;
    await this.#once(name, async () => {
      await mkdir(this.at(name));
      for (let index = 0; index < count; index++) {
        await (await open(this.at(name, `entry-${String(index).padStart(6, '0')}`), 'w')).close();
      }
    });
    return name;
  }

  /** A copy of `name` that nobody has touched. */
  async fresh(name: string, copy: string): Promise<string> {
    await this.remove(copy);
    await cp(this.at(name), this.at(copy), { recursive: true, preserveTimestamps: true });
    return copy;
  }

  /** A new, empty directory. */
  async empty(name: string): Promise<string> {
    await this.remove(name);
    await mkdir(this.at(name));
    return name;
  }

  async remove(name: string): Promise<void> {
    await rm(this.at(name), { recursive: true, force: true });
  }

  #once(name: string, make: () => Promise<void>): Promise<void> {
    const making = this.#made.get(name) ?? make();
    this.#made.set(name, making);
    return making;
  }
}

/** The names of the files of a shape, relative to its root, in the order of a sorted walk. */
export function filesOf(shape: Shape): readonly string[] {
  const each = shape.files / shape.directories;
  const pad = (index: number) => String(index).padStart(4, '0');
  return Array.from(
    { length: shape.files },
    (_, index) => `dir-${pad(Math.floor(index / each))}/file-${pad(index % each)}`,
  );
}

async function plant(root: string, shape: Shape): Promise<void> {
  for (const name of filesOf(shape)) {
    const file = join(root, name);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, randomFillSync(Buffer.alloc(shape.bytes)));
  }
}

/** One random block again and again, numbered, so that no two are alike. */
async function writeBlocks(file: string, bytes: number): Promise<void> {
  const block = randomFillSync(Buffer.alloc(BLOCK));
  const handle = await open(file, 'w');
  for (let at = 0; at < bytes; at += BLOCK) {
    for (let page = 0; page < BLOCK; page += 4096) block.writeDoubleLE(at + page, page);
    await handle.write(block, 0, Math.min(BLOCK, bytes - at));
  }
  await handle.close();
}

/** SHA-256 of the first `bytes` bytes of a file at the server. */
export async function digest(file: string, bytes: number): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { end: bytes - 1, highWaterMark: BLOCK }))
    hash.update(chunk);
  return hash.digest('hex');
}

/** How many files, not directories, are below a directory of the server. */
export async function countFiles(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).length;
}
