/**
 * From fuse-native's callbacks to the filesystem's operations. libfuse itself keeps paths true while a call by path
 * runs, so that a path is all that is needed; what a callback is not told comes from the record of its call.
 */
import { encodeText, toBuffer } from '../base/bytes.js';
import { FsError } from '../base/errno.js';
import { S_IFDIR } from '../base/mode.js';
import { joinPath, type Path, parentOf } from '../base/path.js';
import type { AttributeChanges, Listing, Opened, Operations } from '../fs/operations.js';
import type { Answer, Callback } from './addon.js';
import type { CallRecord } from './call-record.js';
import type { Handles } from './handles.js';
import type { InodeNumbers } from './inodes.js';
import { timeChanges } from './single-times.js';
import { idOf, isFaithful, isUtf8, openFlagsOf, pathOf, statOf, statvfsOf } from './values.js';

/** The answer of a call; exactly one of `deliver` and `abandon` runs, and `finish` last in any case. */
export interface Completion {
  /** What fuse-native is told, made at that moment; the call does not wait any more afterwards. */
  deliver(): readonly [code: number, ...values: unknown[]];
  /** The call was answered with an error meanwhile: gives back what the answer would have held. */
  abandon?(): void;
  finish?(): void;
}

export interface Context {
  readonly operations: Operations;
  readonly files: Handles;
  readonly directories: Handles;
  readonly inodes: InodeNumbers;
  /** Runs a call and answers it exactly once; what is thrown becomes its errno. Never throws. */
  run(opcode: string, answer: Answer, work: (record: CallRecord) => Promise<Completion>): void;
}

const DONE: Completion = { deliver: () => [0] };

/** The kernel opens what it believes to exist: ESTALE makes it walk the path anew, to create the file or to fail. */
function walkAgain(error: unknown): never {
  if (error instanceof FsError && error.code === 'ENOENT') {
    throw new FsError('ESTALE', error.message, { cause: error });
  }
  throw error;
}

/** Copies as much as there is room for; answers how much. */
function fill(buffer: Buffer, parts: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of parts) {
    const kept = part.subarray(0, buffer.length - length);
    buffer.set(kept, length);
    length += kept.length;
  }
  return length;
}

/** Names and types of a listing; what fuse-native could not carry goes past it. */
function namesOf(path: Path, { entries }: Listing, record: CallRecord, inodes: InodeNumbers) {
  const names = ['.', '..'];
  const stats = [path, parentOf(path)].map((path) => ({ mode: S_IFDIR, ino: inodes.of(path) }));
  for (const { name, type } of entries) {
    if (isUtf8(name)) {
      names.push(toBuffer(name).toString('utf8'));
      stats.push({ mode: type, ino: inodes.of(joinPath(path, name)) });
    } else record.addName(name);
  }
  return [names, stats] as const;
}

/** The first and the second path of a call. */
const first = (text: string, record: CallRecord) => pathOf(text, () => record.path);
const second = (text: string, record: CallRecord) => pathOf(text, () => record.dest);

/** The callbacks by their names; a call that is not here has ENOSYS for an answer, which libfuse gives. */
export function callbacksFor(context: Context): Readonly<Record<string, Callback>> {
  const { operations, files, directories, inodes, run } = context;

  /** A call that answers nothing but success. */
  const plain = (opcode: string, answer: Answer, work: (record: CallRecord) => Promise<unknown>) =>
    run(opcode, answer, async (record) => {
      await work(record);
      return DONE;
    });

  /** A call about one path that answers nothing but success. */
  const at = (opcode: string, path: string, answer: Answer, work: (path: Path) => Promise<unknown>) =>
    plain(opcode, answer, (record) => work(first(path, record)));

  const change = (path: string, changes: AttributeChanges, answer: Answer) =>
    at('SETATTR', path, answer, (path) => operations.setattr({ path, handle: null }, changes));

  const opened = ({ handle, directIo }: Opened, record: CallRecord): Completion => ({
    deliver: () => {
      if (directIo) record.setDirectIo();
      return [0, files.add(handle)];
    },
    abandon: () => void operations.release(handle),
  });

  return {
    getattr: (path: string, answer: Answer) =>
      run('GETATTR', answer, async (record) => {
        const at = first(path, record);
        const { attributes } = await operations.getattr({ path: at, handle: null });
        return { deliver: () => [0, statOf(attributes, inodes.of(at))] };
      }),

    access: (path: string, mask: number, answer: Answer) =>
      at('ACCESS', path, answer, (path) => operations.access({ path, handle: null }, mask)),

    statfs: (path: string, answer: Answer) =>
      run('STATFS', answer, async (record) => {
        const stats = await operations.statfs(first(path, record));
        return { deliver: () => [0, statvfsOf(stats)] };
      }),

    readlink: (path: string, answer: Answer) =>
      run('READLINK', answer, async (record) => {
        const link = await operations.readlink(first(path, record));
        return {
          deliver: () => {
            record.setLinkTarget(link);
            return [0, ''];
          },
        };
      }),

    opendir: (path: string, _flags: number, answer: Answer) =>
      run('OPENDIR', answer, async (record) => {
        const { handle } = await operations.opendir(first(path, record));
        return {
          deliver: () => [0, directories.add(handle)],
          abandon: () => void operations.releasedir(handle),
        };
      }),

    // Asked once an open directory and once more after rewinddir(3): libfuse keeps the listing in between.
    readdir: (path: string, answer: Answer) =>
      run('READDIR', answer, async (record) => {
        const at = first(path, record);
        const listing = await operations.readdir(directories.get(record.handle), true);
        return { deliver: () => [0, ...namesOf(at, listing, record, inodes)] };
      }),

    releasedir: (_path: string, number: number, answer: Answer) =>
      plain('RELEASEDIR', answer, async () => operations.releasedir(directories.remove(number))),

    open: (path: string, flags: number, answer: Answer) =>
      run('OPEN', answer, async (record) => {
        const opening = operations.open(first(path, record), openFlagsOf(flags));
        return opened(await opening.catch(walkAgain), record);
      }),

    create: (path: string, mode: number, answer: Answer) =>
      run('CREATE', answer, async (record) => {
        const flags = openFlagsOf(record.openFlags);
        return opened(await operations.create(first(path, record), flags, mode), record);
      }),

    read: (_path: string, number: number, buffer: Buffer, size: number, offset: number, answer: Answer) =>
      run('READ', answer, async () => {
        const { parts, release } = await operations.read(files.get(number), offset, size);
        return { deliver: () => [fill(buffer.subarray(0, size), parts)], finish: release };
      }),

    write: (_path: string, number: number, buffer: Buffer, size: number, offset: number, answer: Answer) =>
      run('WRITE', answer, async ({ fromPageCache }) => {
        const data = buffer.subarray(0, size);
        const taken = await operations.write(files.get(number), offset, data, { fromPageCache });
        return { deliver: () => [taken] };
      }),

    flush: (_path: string, number: number, answer: Answer) =>
      plain('FLUSH', answer, async () => operations.flush(files.get(number))),

    fsync: (_path: string, dataOnly: number, number: number, answer: Answer) =>
      plain('FSYNC', answer, async () => operations.fsync(files.get(number), dataOnly !== 0)),

    release: (_path: string, number: number, answer: Answer) =>
      plain('RELEASE', answer, async () => operations.release(files.remove(number))),

    truncate: (path: string, size: number, answer: Answer) => change(path, { size }, answer),

    ftruncate: (path: string, number: number, size: number, answer: Answer) =>
      at('SETATTR', path, answer, async (path) =>
        operations.setattr({ path, handle: files.get(number) }, { size }),
      ),

    utimens: (path: string, _atime: number, _mtime: number, answer: Answer) =>
      plain('SETATTR', answer, (record) => {
        const target = { path: first(path, record), handle: null };
        return operations.setattr(target, timeChanges(record.times));
      }),

    chmod: (path: string, mode: number, answer: Answer) => change(path, { mode }, answer),

    chown: (path: string, user: number, group: number, answer: Answer) => {
      const [uid, gid] = [idOf(user), idOf(group)];
      change(path, { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) }, answer);
    },

    mknod: (path: string, mode: number, _device: number, answer: Answer) =>
      at('MKNOD', path, answer, (path) => operations.mknod(path, mode)),

    mkdir: (path: string, mode: number, answer: Answer) =>
      at('MKDIR', path, answer, (path) => operations.mkdir(path, mode)),

    unlink: (path: string, answer: Answer) =>
      at('UNLINK', path, answer, async (path) => {
        await operations.unlink(path);
        inodes.removed(path);
      }),

    rmdir: (path: string, answer: Answer) =>
      at('RMDIR', path, answer, async (path) => {
        await operations.rmdir(path);
        inodes.removed(path);
      }),

    rename: (from: string, to: string, answer: Answer) =>
      plain('RENAME', answer, async (record) => {
        const [source, destination] = [first(from, record), second(to, record)];
        await operations.rename(source, destination, { noReplace: false });
        inodes.renamed(source, destination);
      }),

    link: (from: string, to: string, answer: Answer) =>
      plain('LINK', answer, async (record) => {
        const [file, name] = [first(from, record), second(to, record)];
        await operations.link(file, name);
        inodes.linked(file, name);
      }),

    symlink: (link: string, path: string, answer: Answer) =>
      plain('SYMLINK', answer, (record) => {
        const target = isFaithful(link) ? encodeText(link) : record.path;
        return operations.symlink(second(path, record), target);
      }),
  };
}
