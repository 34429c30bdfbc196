/**
 * Which errno a refusal means. SFTP version 3 answers most failures with "Failure", so what the server said
 * is compared with what it shows: `explain` asks it a few harmless questions (LSTAT, READDIR, statvfs),
 * those of one step at once. They cost time only after a failure. A question that is refused leaves the first
 * guess of `status.ts`; the world may have changed meanwhile, so all of this is the best answer, not proof.
 */
import type { ByteString } from '../base/bytes.js';
import { type ErrnoName, FsError, meaningOf } from '../base/errno.js';
import { isDirectory, isSymlink } from '../base/mode.js';
import { isWithin, NAME_MAX } from '../base/path.js';
import {
  PATH_MAX,
  SSH_FX_BAD_MESSAGE,
  SSH_FX_FAILURE,
  SSH_FX_NO_SUCH_FILE,
  SSH_FX_NO_SUCH_PATH,
  SSH_FX_OP_UNSUPPORTED,
  SSH_FX_PERMISSION_DENIED,
} from './constants.js';
import { SftpStatusError } from './errors.js';
import { Probe, type ProbedClient, serverParent } from './probe.js';
import { errnoOfStatus } from './status.js';

export interface PathOperation {
  readonly op:
    | 'mkdir'
    | 'symlink'
    | 'rmdir'
    | 'remove'
    | 'opendir'
    | 'lstat'
    | 'readlink'
    | 'setstat'
    | 'statvfs';
  readonly path: ByteString;
}

export interface RenameOperation {
  readonly op: 'rename';
  readonly from: ByteString;
  readonly to: ByteString;
  /** False for a rename that must not overwrite: then an existing target is EEXIST. Default true. */
  readonly replace?: boolean;
}

export interface LinkOperation {
  readonly op: 'link';
  readonly from: ByteString;
  readonly to: ByteString;
}

export interface OpenOperation {
  readonly op: 'open';
  readonly path: ByteString;
  readonly write: boolean;
  readonly create: boolean;
  readonly exclusive: boolean;
}

export interface FileOperation {
  readonly op: 'read' | 'write' | 'truncate' | 'fsync' | 'fstat' | 'copy';
  /** Null when only a handle is known. */
  readonly path: ByteString | null;
}

/** What was tried, with the server's paths. */
export type Operation = PathOperation | RenameOperation | LinkOperation | OpenOperation | FileOperation;

/**
 * The `FsError` for anything that `client` threw when it tried `what`. One of those passes through, and so does one
 * that a question met with: while the server cannot be asked, nobody knows more.
 */
export async function explain(client: ProbedClient, error: unknown, what: Operation): Promise<FsError> {
  if (error instanceof FsError) return error;
  const explained = (code: ErrnoName) => {
    const reason = error instanceof Error ? error.message : String(error);
    // "Failure" alone tells a person nothing of what was found out.
    const isPlain = error instanceof SftpStatusError && error.code === SSH_FX_FAILURE && code !== 'EIO';
    return new FsError(code, `${what.op}: ${isPlain ? `${meaningOf(code)}; ` : ''}${reason}`, {
      cause: error,
    });
  };
  if (!(error instanceof SftpStatusError)) return explained('EIO');
  try {
    return explained(await errnoFor(new Probe(client), error.code, what));
  } catch (unasked) {
    return unasked instanceof FsError ? unasked : explained('EIO');
  }
}

async function errnoFor(probe: Probe, code: number, what: Operation): Promise<ErrnoName> {
  if (code === SSH_FX_OP_UNSUPPORTED && what.op === 'link') return 'EPERM';
  const paths = pathsOf(what);
  const vague = code === SSH_FX_FAILURE || code === SSH_FX_BAD_MESSAGE || code === SSH_FX_NO_SUCH_FILE;
  if (vague && paths.some(isTooLong)) return 'ENAMETOOLONG';
  switch (code) {
    case SSH_FX_NO_SUCH_FILE:
    case SSH_FX_NO_SUCH_PATH:
      return whyMissing(probe, what);
    case SSH_FX_PERMISSION_DENIED:
      return whyDenied(probe, what);
    case SSH_FX_FAILURE:
      return (await whyFailed(probe, what)) ?? errnoOfStatus(code);
    case SSH_FX_BAD_MESSAGE:
      // A server that checks names by itself may say "bad message" for a name that is taken.
      return what.op === 'readlink' || what.op === 'rename'
        ? 'EINVAL'
        : ((await existing(probe, what)) ?? errnoOfStatus(code));
    default:
      return errnoOfStatus(code);
  }
}

function pathsOf(what: Operation): readonly ByteString[] {
  if ('from' in what) return [what.from, what.to];
  return what.path === null ? [] : [what.path];
}

function isTooLong(path: ByteString): boolean {
  return path.length >= PATH_MAX || path.split('/').some((name) => name.length > NAME_MAX);
}

/** EEXIST where the call makes a name and the name is there. */
async function existing(probe: Probe, what: Operation): Promise<ErrnoName | null> {
  const made = madeBy(what);
  return made !== null && (await probe.lstat(made)) !== null ? 'EEXIST' : null;
}

/** The name that a call must find free. */
function madeBy(what: Operation): ByteString | null {
  switch (what.op) {
    case 'mkdir':
    case 'symlink':
      return what.path;
    case 'link':
      return what.to;
    case 'rename':
      return what.replace === false ? what.to : null;
    case 'open':
      return what.exclusive ? what.path : null;
    default:
      return null;
  }
}

/** "No such file" stands for ENOENT, ENOTDIR, ELOOP and EBADF. */
async function whyMissing(probe: Probe, what: Operation): Promise<ErrnoName> {
  switch (what.op) {
    case 'read':
    case 'write':
    case 'fsync':
    case 'fstat':
    case 'copy':
      return 'ESTALE';
    case 'truncate':
      if (what.path === null) return 'ESTALE';
      return (await probe.lstat(what.path)) === null ? probe.whyMissing(what.path) : 'ESTALE';
    case 'lstat':
      // A kernel looks names up one by one, in directories it has seen: no question for each miss.
      return 'ENOENT';
    case 'opendir':
    case 'rmdir': {
      const found = await probe.lstat(what.path);
      if (found === null) return probe.whyMissing(what.path);
      const mode = found.permissions ?? 0;
      if (isSymlink(mode) && what.op === 'opendir') return probe.whyMissing(what.path);
      return isDirectory(mode) ? 'ENOENT' : 'ENOTDIR';
    }
    case 'rename': {
      const [source, target] = await Promise.all([probe.lstat(what.from), probe.lstat(what.to)]);
      if (source === null) return probe.whyMissing(what.from);
      return target === null ? probe.whyMissing(what.to) : 'ENOTDIR';
    }
    case 'link': {
      const source = await probe.lstat(what.from);
      return probe.whyMissing(source === null ? what.from : what.to);
    }
    default:
      return probe.whyMissing(what.path);
  }
}

/** "Permission denied" stands for EACCES and EPERM; some servers say it for EROFS as well. */
async function whyDenied(probe: Probe, what: Operation): Promise<ErrnoName> {
  switch (what.op) {
    case 'setstat': {
      const [found, readOnly] = await Promise.all([probe.lstat(what.path), isReadOnlyAt(probe, what.path)]);
      if (readOnly) return 'EROFS';
      return found === null ? 'EACCES' : 'EPERM';
    }
    case 'remove':
    case 'rmdir':
      return deniedIn(probe, [what.path]);
    case 'rename':
      return deniedIn(probe, [what.from, what.to]);
    case 'link':
      if (await probe.isDirectory(what.from)) return 'EPERM';
      return deniedIn(probe, [what.to], false);
    case 'mkdir':
    case 'symlink':
      return deniedIn(probe, [what.path], false);
    case 'open':
      return what.write && (await probe.isReadOnly(what.path)) ? 'EROFS' : 'EACCES';
    case 'write':
    case 'truncate':
      return what.path !== null && (await probe.isReadOnly(what.path)) ? 'EROFS' : 'EACCES';
    default:
      return 'EACCES';
  }
}

/** statvfs follows a symbolic link, so its directory is asked as well. */
async function isReadOnlyAt(probe: Probe, path: ByteString): Promise<boolean> {
  const answers = await Promise.all([path, serverParent(path)].map((each) => probe.isReadOnly(each)));
  return answers.includes(true);
}

/** Denied to change the directories that hold `paths`: EPERM where one lets everybody write but is sticky. */
async function deniedIn(probe: Probe, paths: readonly ByteString[], sticky = true): Promise<ErrnoName> {
  const [readOnly, ...parents] = await Promise.all([
    probe.isReadOnly(serverParent(paths[0] ?? ('.' as ByteString))),
    ...paths.map((path) => probe.stat(serverParent(path))),
  ]);
  if (readOnly) return 'EROFS';
  const guarded = parents.some((parent) => {
    const mode = parent?.permissions ?? 0;
    return (mode & 0o1000) !== 0 && (mode & 0o022) !== 0;
  });
  return sticky && guarded ? 'EPERM' : 'EACCES';
}

/** "Failure" stands for everything else. Null when nothing is to be seen. */
async function whyFailed(probe: Probe, what: Operation): Promise<ErrnoName | null> {
  switch (what.op) {
    case 'mkdir':
    case 'symlink':
      return (await existing(probe, what)) ?? probe.whyFull(serverParent(what.path));
    case 'link':
      return whyLinkFailed(probe, what);
    case 'rename':
      return whyRenameFailed(probe, what);
    case 'open':
      return whyOpenFailed(probe, what);
    case 'rmdir':
      return whyRmdirFailed(probe, what);
    case 'remove': {
      const [directory, readOnly] = await Promise.all([
        probe.isDirectory(what.path),
        probe.isReadOnly(serverParent(what.path)),
      ]);
      if (directory) return 'EISDIR';
      return readOnly ? 'EROFS' : null;
    }
    case 'readlink': {
      const found = await probe.lstat(what.path);
      return found !== null && !isSymlink(found.permissions ?? 0) ? 'EINVAL' : null;
    }
    case 'setstat':
      return (await isReadOnlyAt(probe, what.path)) ? 'EROFS' : null;
    case 'opendir':
      return (await probe.isOutOfHandles()) ? 'EMFILE' : null;
    case 'lstat':
    case 'statvfs':
    case 'fstat':
      return null;
    default:
      return whyFileFailed(probe, what);
  }
}

async function whyLinkFailed(probe: Probe, what: LinkOperation): Promise<ErrnoName | null> {
  if ((await existing(probe, what)) !== null) return 'EEXIST';
  const directory = serverParent(what.to);
  const [isTree, apart] = await Promise.all([
    probe.isDirectory(what.from),
    probe.areApart(serverParent(what.from), directory),
  ]);
  if (isTree) return 'EPERM';
  return apart ? 'EXDEV' : probe.whyFull(directory);
}

async function whyRenameFailed(probe: Probe, what: RenameOperation): Promise<ErrnoName | null> {
  if (what.from !== what.to && isWithin(what.to, what.from)) return 'EINVAL';
  const parent = serverParent(what.to);
  const [source, target, apart] = await Promise.all([
    probe.lstat(what.from),
    probe.lstat(what.to),
    probe.areApart(serverParent(what.from), parent),
  ]);
  if (target !== null) {
    if (what.replace === false) return 'EEXIST';
    // The source lies within the target, so the target is not empty, whatever the source is.
    if (what.from !== what.to && isWithin(what.from, what.to)) return 'ENOTEMPTY';
    const ontoDirectory = isDirectory(target.permissions ?? 0);
    const fromDirectory = isDirectory(source?.permissions ?? 0);
    if (ontoDirectory && !fromDirectory) return 'EISDIR';
    if (!ontoDirectory && fromDirectory) return 'ENOTDIR';
    if (ontoDirectory && (await probe.hasEntries(what.to))) return 'ENOTEMPTY';
  }
  return apart ? 'EXDEV' : probe.whyFull(parent);
}

async function whyOpenFailed(probe: Probe, what: OpenOperation): Promise<ErrnoName | null> {
  const [link, file] = await Promise.all([probe.lstat(what.path), probe.stat(what.path)]);
  if (what.exclusive && link !== null) return 'EEXIST';
  if (what.write && file !== null && isDirectory(file.permissions ?? 0)) return 'EISDIR';
  if (await probe.isOutOfHandles()) return 'EMFILE';
  if (what.create && file === null) return probe.whyFull(serverParent(what.path));
  return what.write && (await probe.isReadOnly(what.path)) ? 'EROFS' : null;
}

async function whyRmdirFailed(probe: Probe, what: PathOperation): Promise<ErrnoName | null> {
  const [entries, readOnly] = await Promise.all([probe.hasEntries(what.path), probe.isReadOnly(what.path)]);
  if (readOnly) return 'EROFS';
  if (entries === null) return null;
  return entries ? 'ENOTEMPTY' : 'EBUSY';
}

async function whyFileFailed(probe: Probe, what: FileOperation): Promise<ErrnoName | null> {
  if (what.path === null) return null;
  if (what.op === 'read') return (await probe.isDirectory(what.path)) ? 'EISDIR' : null;
  if (what.op === 'truncate' && (await probe.isDirectory(what.path))) return 'EISDIR';
  return probe.whyFull(what.path);
}
