/**
 * A process that serves a tiny filesystem from memory, for tests of the kernel driver: the process that serves
 * a mount never touches it. Takes the directory of the built program and the options of `mountFuse` as JSON,
 * says `ready METHOD` when the kernel has agreed, and `done REASON STATS` when the mount is gone. `/stall` never
 * answers a read, a name that begins with `hang` no lookup, one that begins with `unclosed` no flush; `/zero` is 1 GiB of zeros and `/sink` swallows what
 * is written, at no cost, to measure the driver alone. Attributes are trusted for ever below `/trusted`.
 *
 * Between the two, lines on standard input are commands, `[NAME, ...ARGUMENTS]` in JSON, each answered by one line
 * `answer JSON`: `stats`; `foreign PATH TEXT`, which writes a file as somebody else would, with the kernel told
 * nothing; `stall`, from which on the server counts as stalled; `invalidate METHOD PATH`, a call of `KernelCache`; `exit`, at once and with the mount still there.
 */
import { createInterface } from 'node:readline';

const [dist, options] = process.argv.slice(2);
const { FsError } = await import(`${dist}/base/errno.js`);
const { joinPath, nameOf, parentOf } = await import(`${dist}/base/path.js`);
const { mountFuse, serveFuse } = await import(`${dist}/fuse/index.js`);

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const O_TRUNC = 0o1000;
const GIB = 1024 ** 3;
const HOUR = 3_600_000;
const ttl = (path) =>
  path.startsWith('trusted') ? { attrTtl: HOUR, entryTtl: HOUR } : { attrTtl: 1000, entryTtl: 1000 };
const now = () => Math.floor(Date.now() / 1000);

const makeFile = (mode, data = Buffer.alloc(0)) => ({ mode, data, times: [now(), now()], nlink: 1 });
const files = new Map([
  ['', makeFile(S_IFDIR | 0o755)],
  ['stall', makeFile(S_IFREG | 0o644, Buffer.from('never'))],
  ['zero', { ...makeFile(S_IFREG | 0o644), size: GIB }],
  ['sink', makeFile(S_IFREG | 0o644)],
]);
const handles = new Map();
/** The names that each directory was last listed with. */
const listed = new Map();
let nextHandle = 1;
const zeros = Buffer.alloc(1024 * 1024);

const lent = (data) => ({ parts: [data], release: () => undefined });
const fail = (code) => {
  throw new FsError(code);
};
const fileAt = (path) => files.get(path) ?? fail('ENOENT');
const fileOf = (handle) => (handles.get(handle) ?? fail('EBADF')).file;
const isDirectory = (file) => (file.mode & 0o170000) === S_IFDIR;
const childrenOf = (path) => [...files.keys()].filter((key) => key !== '' && parentOf(key) === path);

const attributes = (file) => ({
  mode: file.mode,
  size: file.size ?? file.data.length,
  uid: process.getuid(),
  gid: process.getgid(),
  atime: file.times[0],
  mtime: file.times[1],
  ctime: file.times[1],
  nlink: file.nlink,
});
const stat = (file, path) => ({ attributes: attributes(file), ...ttl(path ?? '') });

function add(path, file) {
  if (files.has(path)) fail('EEXIST');
  fileAt(parentOf(path));
  files.set(path, file);
  return file;
}

function resize(file, size) {
  const data = Buffer.alloc(size);
  file.data.copy(data);
  file.data = data;
  file.times[1] = now();
}

function openHandle(file, path) {
  handles.set(nextHandle, { file, path });
  return { handle: nextHandle++, keepCache: false, directIo: false, staleAttributes: false };
}

const operations = {
  lookup: async (path) => {
    if (path.startsWith('hang')) return new Promise(() => undefined);
    const file = files.get(path);
    return { attributes: file === undefined ? null : attributes(file), ...ttl(path) };
  },
  getattr: async ({ path, handle }) => stat(handle === null ? fileAt(path) : fileOf(handle), path),
  setattr: async ({ path, handle }, changes) => {
    const file = handle === null ? fileAt(path) : fileOf(handle);
    if (changes.mode !== undefined) file.mode = (file.mode & 0o170000) | (changes.mode & 0o7777);
    if (changes.size !== undefined) resize(file, changes.size);
    for (const [index, time] of [changes.atime, changes.mtime].entries()) {
      if (time !== undefined) file.times[index] = time === 'now' ? now() : time;
    }
    return stat(file, path);
  },
  readlink: async (path) => fileAt(path).data.toString('latin1'),
  symlink: async (path, target) =>
    stat(add(path, makeFile(S_IFLNK | 0o777, Buffer.from(target, 'latin1'))), path),
  mknod: async (path, mode) => stat(add(path, makeFile(S_IFREG | (mode & 0o7777))), path),
  mkdir: async (path, mode) => stat(add(path, makeFile(S_IFDIR | (mode & 0o7777))), path),
  unlink: async (path) => {
    fileAt(path).nlink--;
    files.delete(path);
  },
  rmdir: async (path) => {
    if (childrenOf(path).length > 0) fail('ENOTEMPTY');
    files.delete(path);
  },
  rename: async (from, to, { noReplace }) => {
    fileAt(from);
    if (noReplace && files.has(to)) fail('EEXIST');
    for (const key of [...files.keys()]) {
      if (key !== from && !key.startsWith(`${from}/`)) continue;
      const file = files.get(key);
      files.delete(key);
      files.set(to + key.slice(from.length), file);
    }
  },
  link: async (from, to) => {
    const file = add(to, fileAt(from));
    file.nlink++;
    return stat(file);
  },
  open: async (path, flags) => {
    const file = fileAt(path);
    if (flags & O_TRUNC) resize(file, 0);
    return openHandle(file, path);
  },
  create: async (path, _flags, mode) => {
    const file = files.get(path) ?? add(path, makeFile(S_IFREG | (mode & 0o7777)));
    return { ...stat(file, path), ...openHandle(file, path) };
  },
  read: async (handle, offset, size) => {
    const { file, path } = handles.get(handle) ?? fail('EBADF');
    if (path === 'stall') return new Promise(() => undefined);
    if (file.size !== undefined) {
      return lent(zeros.subarray(0, Math.max(0, Math.min(size, file.size - offset))));
    }
    return lent(file.data.subarray(offset, offset + size));
  },
  write: async (handle, offset, data) => {
    const { file, path } = handles.get(handle) ?? fail('EBADF');
    if (path === 'sink') return data.length;
    if (offset + data.length > file.data.length) resize(file, offset + data.length);
    file.data.set(data, offset);
    return data.length;
  },
  flush: async (handle) => {
    if (handles.get(handle)?.path.startsWith('unclosed')) return new Promise(() => undefined);
  },
  fsync: async () => undefined,
  release: async (handle) => void handles.delete(handle),
  statfs: async () => ({
    bsize: 4096,
    frsize: 4096,
    blocks: 1000,
    bfree: 500,
    bavail: 400,
    files: 100,
    ffree: 50,
    namemax: 255,
  }),
  opendir: async (path) => ({
    ...openHandle(fileAt(path), path),
    keepCache: listed.get(path) === childrenOf(path).join('\n'),
  }),
  readdir: async (handle) => {
    const { path, file } = handles.get(handle) ?? fail('EBADF');
    if (!isDirectory(file)) fail('ENOTDIR');
    const at = (name) => attributes(fileAt(joinPath(path, name)));
    listed.set(path, childrenOf(path).join('\n'));
    const entries = childrenOf(path).map((key) => ({
      name: nameOf(key),
      type: at(nameOf(key)).mode & 0o170000,
    }));
    return { entries, describe: ({ name }) => ({ attributes: at(name), ...ttl(path) }) };
  },
  releasedir: async (handle) => void handles.delete(handle),
  fsyncdir: async () => undefined,
  access: async () => undefined,
  lseek: async (_handle, offset, whence) => (whence === 3 ? offset : fail('ENXIO')),
  fallocate: async () => fail('EOPNOTSUPP'),
  copyFileRange: async (from, fromOffset, to, toOffset, length) => {
    const source = fileOf(from);
    const target = fileOf(to);
    const data = source.data.subarray(fromOffset, fromOffset + length);
    if (toOffset + data.length > target.data.length) resize(target, toOffset + data.length);
    target.data.set(data, toOffset);
    return data.length;
  },
};

try {
  const mounted = await mountFuse(JSON.parse(options));
  let isStalled = false;
  const session = serveFuse({ fd: mounted.fd, operations, isStalled: () => isStalled });
  const unmount = () => mounted.unmount({ lazy: true }).catch((error) => console.error(error.message));
  process.on('SIGTERM', unmount);
  const commands = {
    stats: () => session.stats(),
    stall: () => {
      isStalled = true;
    },
    foreign: (path, text) => {
      if (!files.has(path)) files.set(path, makeFile(S_IFREG | 0o644));
      fileAt(path).data = Buffer.from(text);
    },
    invalidate: (method, path) => session.kernelCache[method](path),
    exit: () => process.exit(0),
  };
  createInterface({ input: process.stdin }).on('line', (line) => {
    const [name, ...args] = JSON.parse(line);
    console.log(`answer ${JSON.stringify(commands[name](...args) ?? null)}`);
  });
  await session.ready;
  console.log(`ready ${mounted.method}`);
  const reason = await session.done;
  console.log(`done ${reason} ${JSON.stringify({ ...session.stats(), openHandles: handles.size })}`);
  process.exit(0);
} catch (error) {
  console.error(`${error.kind ?? 'error'}: ${error.message}`);
  process.exit(1);
}
