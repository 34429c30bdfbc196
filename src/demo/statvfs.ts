/**
 * statvfs(3) as far as Node shows it: `statfs` has no f_fsid and no flags, so the device number tells
 * filesystems apart, and /proc/self/mountinfo says which mounts are read-only.
 */
import { readFile, realpath, stat, statfs } from 'node:fs/promises';
import { type ByteString, bytesOf } from '../base/bytes.js';
import { NAME_MAX } from '../base/path.js';
import { ST_RDONLY, type StatVfs } from '../sftp/extensions.js';

/** `path` is the host's. */
export async function statvfsOf(path: Buffer): Promise<StatVfs> {
  const [space, { dev }, readOnly] = await Promise.all([
    statfs(path),
    stat(path, { bigint: true }),
    isReadOnly(path),
  ]);
  return {
    bsize: space.bsize,
    frsize: space.bsize,
    blocks: space.blocks,
    bfree: space.bfree,
    bavail: space.bavail,
    files: space.files,
    ffree: space.ffree,
    favail: space.ffree,
    fsid: dev,
    flag: readOnly ? ST_RDONLY : 0,
    namemax: NAME_MAX,
  };
}

async function isReadOnly(path: Buffer): Promise<boolean> {
  const table = await readFile('/proc/self/mountinfo').catch(() => Buffer.alloc(0));
  // A deleted file that is still open has no real path, and counts as writable.
  const real = await realpath(path, { encoding: 'buffer' }).catch(() => path);
  return isReadOnlyIn(bytesOf(table), bytesOf(real));
}

/** Whether `path` lies in a read-only mount of a mountinfo `table` (proc(5)): the deepest one counts, the last of equals. */
function isReadOnlyIn(table: ByteString, path: ByteString): boolean {
  let deepest = -1;
  let readOnly = false;
  for (const line of table.split('\n')) {
    const [, , , , escaped, options, ...rest] = line.split(' ');
    if (escaped === undefined || options === undefined) continue;
    const point = escaped.replace(/\\([0-7]{3})/g, (_, octal) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    const holds = path === point || path.startsWith(point === '/' ? '/' : `${point}/`);
    if (!holds || point.length < deepest) continue;
    deepest = point.length;
    const superOptions = rest.at(-1) ?? '';
    readOnly = [...options.split(','), ...superOptions.split(',')].includes('ro');
  }
  return readOnly;
}
