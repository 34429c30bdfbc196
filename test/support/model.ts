/**
 * The reference model is the kernel's own filesystem: every random operation goes to a mount and to a plain
 * directory, its outcome (a value or an errno) is compared, and so are the whole trees. This file has the
 * operations, their generator, and the picture of a tree.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';

export type Step =
  | {
      readonly do: 'put';
      readonly path: string;
      readonly flag: 'w' | 'wx' | 'a';
      readonly size: number;
      readonly fill: number;
    }
  | {
      readonly do: 'patch';
      readonly path: string;
      readonly offset: number;
      readonly size: number;
      readonly fill: number;
    }
  | { readonly do: 'truncate'; readonly path: string; readonly size: number }
  | { readonly do: 'rename' | 'link'; readonly path: string; readonly to: string }
  | { readonly do: 'symlink'; readonly path: string; readonly target: string }
  | { readonly do: 'mkdir' | 'chmod'; readonly path: string; readonly mode: number }
  | { readonly do: 'unlink' | 'rmdir' | 'read' | 'list'; readonly path: string }
  | { readonly do: 'utimes'; readonly path: string; readonly time: number }
  | {
      readonly do: 'open';
      readonly slot: number;
      readonly path: string;
      readonly flag: 'r' | 'r+' | 'w+' | 'a+' | 'wx+';
    }
  | {
      readonly do: 'handle-write';
      readonly slot: number;
      readonly offset: number;
      readonly size: number;
      readonly fill: number;
    }
  | { readonly do: 'handle-read'; readonly slot: number; readonly offset: number; readonly size: number }
  | { readonly do: 'handle-truncate'; readonly slot: number; readonly size: number }
  | { readonly do: 'handle-chmod'; readonly slot: number; readonly mode: number }
  | { readonly do: 'handle-utimes'; readonly slot: number; readonly time: number }
  | { readonly do: 'handle-stat' | 'handle-sync' | 'handle-close'; readonly slot: number }
  /** Done on the server's disk, beside the mount. */
  | {
      readonly do: 'elsewhere';
      readonly how: 'write' | 'replace' | 'remove';
      readonly path: string;
      readonly size: number;
      readonly fill: number;
      readonly time: number;
    };

const SLOTS = 3;

const name = fc.constantFrom('a', 'b', 'c');
const path = fc
  .oneof(
    { weight: 5, arbitrary: fc.tuple(name) },
    { weight: 3, arbitrary: fc.tuple(name, name) },
    { weight: 1, arbitrary: fc.tuple(name, name, name) },
  )
  .map((names) => names.join('/'));
/** Around the sizes where something changes: pages, packets, nothing. */
const size = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 200 }) },
  { weight: 3, arbitrary: fc.constantFrom(0, 1, 4095, 4096, 4097, 32_768, 131_072) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 400_000 }) },
);
const fill = fc.integer({ min: 1, max: 255 });
const slot = fc.integer({ min: 0, max: SLOTS - 1 });
const mode = fc.constantFrom(0o700, 0o711, 0o750, 0o755, 0o777);
const time = fc.integer({ min: 1, max: 1_600_000_000 });
const step = <T extends Step>(weight: number, record: { readonly [K in keyof T]: fc.Arbitrary<T[K]> }) => ({
  weight,
  arbitrary: fc.record(record) as unknown as fc.Arbitrary<Step>,
});
const verb = <T extends string>(...verbs: readonly T[]) => fc.constantFrom(...verbs);

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  step(6, { do: verb('put'), path, flag: fc.constantFrom('w', 'wx', 'a'), size, fill }),
  step(4, { do: verb('patch'), path, offset: size, size, fill }),
  step(2, { do: verb('truncate'), path, size }),
  step(5, { do: verb('rename'), path, to: path }),
  step(2, { do: verb('link'), path, to: path }),
  step(2, { do: verb('symlink'), path, target: fc.constantFrom('a', 'b', 'a/b', 'c', '../a', 'missing') }),
  step(4, { do: verb('mkdir'), path, mode }),
  step(1, { do: verb('chmod'), path, mode }),
  step(3, { do: verb('unlink', 'rmdir', 'read', 'list'), path }),
  step(2, { do: verb('utimes'), path, time }),
  step(4, { do: verb('open'), slot, path, flag: fc.constantFrom('r', 'r+', 'w+', 'a+', 'wx+') }),
  step(5, { do: verb('handle-write'), slot, offset: size, size, fill }),
  step(4, { do: verb('handle-read'), slot, offset: size, size }),
  step(1, { do: verb('handle-truncate'), slot, size }),
  step(1, { do: verb('handle-chmod'), slot, mode }),
  step(2, { do: verb('handle-utimes'), slot, time }),
  step(2, { do: verb('handle-stat', 'handle-sync', 'handle-close'), slot }),
);

const elsewhere = step(3, {
  do: verb('elsewhere'),
  how: fc.constantFrom('write', 'replace', 'remove'),
  path,
  size,
  fill,
  time,
});

const LENGTH = { minLength: 5, maxLength: 40, size: 'max' } as const;

export const program: fc.Arbitrary<readonly Step[]> = fc.array(anyStep, LENGTH);

/** The same while others change files on the server. */
export const sharedProgram: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof({ weight: 50, arbitrary: anyStep }, elsewhere),
  LENGTH,
);

/** One of the two filesystems with its open handles. */
export class Side {
  readonly root: string;
  readonly #handles: (fs.FileHandle | null)[] = Array.from({ length: SLOTS }, () => null);

  constructor(root: string) {
    this.root = root;
  }

  /** What the operation answers: a value as text, or the name of the errno. */
  async perform(step: Step): Promise<string> {
    try {
      return `${await this.#act(step)}`;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      return code;
    }
  }

  async close(): Promise<void> {
    for (const [slot, handle] of this.#handles.entries()) {
      this.#handles[slot] = null;
      await handle?.close();
    }
  }

  async #act(step: Step): Promise<string> {
    const at = (path: string) => join(this.root, path);
    switch (step.do) {
      case 'put':
        await fs.writeFile(at(step.path), Buffer.alloc(step.size, step.fill), { flag: step.flag });
        return 'done';
      case 'patch': {
        const file = await fs.open(at(step.path), 'r+');
        try {
          await file.write(Buffer.alloc(step.size, step.fill), 0, step.size, step.offset);
        } finally {
          await file.close();
        }
        return 'done';
      }
      case 'truncate':
        await fs.truncate(at(step.path), step.size);
        return 'done';
      case 'rename':
        await fs.rename(at(step.path), at(step.to));
        return 'done';
      case 'link':
        await fs.link(at(step.path), at(step.to));
        return 'done';
      case 'symlink':
        await fs.symlink(step.target, at(step.path));
        return 'done';
      case 'mkdir':
        await fs.mkdir(at(step.path), step.mode);
        return 'done';
      case 'chmod':
        await fs.chmod(at(step.path), step.mode);
        return 'done';
      case 'unlink':
        await fs.unlink(at(step.path));
        return 'done';
      case 'rmdir':
        await fs.rmdir(at(step.path));
        return 'done';
      case 'read':
        return digest(await fs.readFile(at(step.path)));
      case 'list':
        return (await fs.readdir(at(step.path))).sort().join(' ');
      case 'utimes':
        await fs.utimes(at(step.path), step.time, step.time);
        return 'done';
      case 'elsewhere':
        await this.#change(step.how, at(step.path), Buffer.alloc(step.size, step.fill), step.time);
        return 'done';
      case 'open': {
        await this.#handles[step.slot]?.close();
        this.#handles[step.slot] = null;
        this.#handles[step.slot] = await fs.open(at(step.path), step.flag);
        return 'done';
      }
    }
    const handle = this.#handles[step.slot];
    if (!handle) return 'no handle';
    switch (step.do) {
      case 'handle-write':
        return `${(await handle.write(Buffer.alloc(step.size, step.fill), 0, step.size, step.offset)).bytesWritten}`;
      case 'handle-read': {
        const bytes = Buffer.alloc(step.size);
        const { bytesRead } = await handle.read(bytes, 0, step.size, step.offset);
        return `${bytesRead} ${digest(bytes.subarray(0, bytesRead))}`;
      }
      case 'handle-truncate':
        await handle.truncate(step.size);
        return 'done';
      case 'handle-chmod':
        await handle.chmod(step.mode);
        return 'done';
      case 'handle-utimes':
        await handle.utimes(step.time, step.time);
        return 'done';
      case 'handle-stat': {
        const at = await handle.stat();
        return at.isFile() ? `${at.size} ${at.nlink} ${at.mode.toString(8)}` : at.mode.toString(8);
      }
      case 'handle-sync':
        await handle.sync();
        return 'done';
      case 'handle-close':
        this.#handles[step.slot] = null;
        await handle.close();
        return 'done';
    }
  }

  /** Files that were last changed long ago, as an archive that is unpacked leaves them. */
  async #change(how: 'write' | 'replace' | 'remove', at: string, content: Buffer, time: number) {
    if (how === 'remove') return fs.unlink(at);
    const written = how === 'write' ? at : `${this.root}.new`;
    await fs.writeFile(written, content);
    await fs.utimes(written, time, time);
    if (how === 'write') return;
    await fs.rename(written, at).finally(() => fs.rm(written, { force: true }));
  }
}

function digest(bytes: Uint8Array): string {
  return `${bytes.length}:${createHash('sha1').update(bytes).digest('hex').slice(0, 12)}`;
}

/**
 * Everything below `root`, a line an entry: type, mode, and by type the size, link count, contents or target.
 * Times of the past were set by a step and must agree; a time of today is only known to be of today.
 */
export async function picture(root: string, below = ''): Promise<readonly string[]> {
  const lines: string[] = [];
  const names = (await fs.readdir(join(root, below))).sort();
  for (const name of names) {
    const path = below === '' ? name : `${below}/${name}`;
    const at = await fs.lstat(join(root, path));
    const mode = (at.mode & 0o7777).toString(8);
    const seconds = Math.floor(at.mtimeMs / 1_000);
    const time = Date.now() / 1_000 - seconds > 86_400 ? String(seconds) : 'today';
    if (at.isSymbolicLink()) lines.push(`${path} -> ${await fs.readlink(join(root, path))}`);
    else if (at.isDirectory()) lines.push(`${path}/ ${mode} ${time}`, ...(await picture(root, path)));
    else {
      const contents = digest(await fs.readFile(join(root, path)));
      lines.push(`${path} ${mode} ${time} size ${at.size} links ${at.nlink} ${contents}`);
    }
  }
  return lines;
}
