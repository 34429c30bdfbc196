/** Each errno is asked of the embedded server on a real directory; what root cannot provoke, of a fake. */
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ascii, type ByteString } from '../../../src/base/bytes.js';
import { FsError } from '../../../src/base/errno.js';
import type { SftpAttributes } from '../../../src/sftp/attributes.js';
import type { SftpHandle, StatVfs } from '../../../src/sftp/client.js';
import * as c from '../../../src/sftp/constants.js';
import { ConnectionLostError, ProtocolError, SftpStatusError } from '../../../src/sftp/errors.js';
import { explain, type Operation } from '../../../src/sftp/explain.js';
import { type ProbedClient, serverParent } from '../../../src/sftp/probe.js';
import { errnoOfStatus } from '../../../src/sftp/status.js';
import { type Embedded, startEmbeddedPair } from '../../support/sftp.js';

const p = (path: string) => path as ByteString;

describe('against the embedded server', () => {
  let embedded: Embedded;

  beforeAll(async () => {
    embedded = await startEmbeddedPair();
    const at = (path: string) => join(embedded.root, path);
    await mkdir(at('full/inner'), { recursive: true });
    await mkdir(at('empty'));
    await writeFile(at('file'), 'content');
    await writeFile(at('full/entry'), '');
    await symlink('loop', at('loop'));
    await symlink('nowhere', at('dangling'));
    await symlink('file', at('to-file'));
  });

  afterAll(() => embedded.end());

  /** The errno of what `call` fails with. */
  async function errnoFrom(call: Promise<unknown>, what: Operation): Promise<string> {
    const error = await call.then(
      () => expect.fail('it did not fail'),
      (failure: unknown) => failure,
    );
    expect(error).toBeInstanceOf(SftpStatusError);
    const explained = await explain(embedded.client, error, what);
    expect(explained.cause).toBe(error);
    return explained.code;
  }

  const long = 'n'.repeat(256);

  it.each([
    ['mkdir', '/file', 'EEXIST'],
    ['mkdir', '/empty', 'EEXIST'],
    ['mkdir', '/dangling', 'EEXIST'],
    ['mkdir', '/none/x', 'ENOENT'],
    ['mkdir', '/file/x', 'ENOTDIR'],
    ['mkdir', '/to-file/x', 'ENOTDIR'],
    ['mkdir', '/loop/x', 'ELOOP'],
    ['mkdir', '/dangling/x', 'ENOENT'],
    ['mkdir', `/${long}`, 'ENAMETOOLONG'],
    ['mkdir', `/${'d/'.repeat(2100)}x`, 'ENAMETOOLONG'],
    ['rmdir', '/full', 'ENOTEMPTY'],
    ['rmdir', '/file', 'ENOTDIR'],
    ['rmdir', '/none', 'ENOENT'],
    ['remove', '/empty', 'EISDIR'],
    ['remove', '/none', 'ENOENT'],
    ['remove', '/file/x', 'ENOTDIR'],
    ['readlink', '/file', 'EINVAL'],
    ['readlink', '/none', 'ENOENT'],
    ['opendir', '/file', 'ENOTDIR'],
    ['opendir', '/none', 'ENOENT'],
    ['opendir', '/loop', 'ELOOP'],
    ['lstat', '/none', 'ENOENT'],
    ['statvfs', '/none', 'ENOENT'],
    ['statvfs', '/file/x', 'ENOTDIR'],
  ] as const)('%s of %s is %s', async (op, path, errno) => {
    const { client } = embedded;
    expect(await errnoFrom(client[op](p(path)), { op, path: p(path) })).toBe(errno);
  });

  it('symlink onto a name that is taken is EEXIST', async () => {
    const call = embedded.client.symlink(p('/file'), p('anything'));
    expect(await errnoFrom(call, { op: 'symlink', path: p('/file') })).toBe('EEXIST');
  });

  it('setstat of nothing is ENOENT, through a loop ELOOP', async () => {
    const { client } = embedded;
    const change = { permissions: 0o600 };
    expect(await errnoFrom(client.setstat(p('/none'), change), { op: 'setstat', path: p('/none') })).toBe(
      'ENOENT',
    );
    expect(await errnoFrom(client.setstat(p('/loop'), change), { op: 'setstat', path: p('/loop') })).toBe(
      'ELOOP',
    );
  });

  it.each([
    ['/empty', '/full', 'ENOTEMPTY'],
    ['/file', '/empty', 'EISDIR'],
    ['/empty', '/file', 'ENOTDIR'],
    ['/full', '/full/inner/x', 'EINVAL'],
    ['/full/entry', '/full', 'ENOTEMPTY'],
    ['/none', '/x', 'ENOENT'],
    ['/file', '/none/x', 'ENOENT'],
    ['/file', '/to-file/x', 'ENOTDIR'],
    ['/file', `/${long}`, 'ENAMETOOLONG'],
  ])('rename of %s to %s is %s', async (from, to, errno) => {
    const call = embedded.client.posixRename(p(from), p(to));
    expect(await errnoFrom(call, { op: 'rename', from: p(from), to: p(to) })).toBe(errno);
  });

  it.each(['/full', '/dangling', '/empty'])('rename without replacing onto %s is EEXIST', async (to) => {
    const call = embedded.client.rename(p('/file'), p(to));
    expect(await errnoFrom(call, { op: 'rename', from: p('/file'), to: p(to), replace: false })).toBe(
      'EEXIST',
    );
  });

  it.each([
    ['/file', '/full/entry', 'EEXIST'],
    ['/none', '/x', 'ENOENT'],
    ['/file', '/none/x', 'ENOENT'],
    ['/empty', '/x', 'EPERM'],
  ])('link of %s to %s is %s', async (from, to, errno) => {
    const call = embedded.client.hardlink(p(from), p(to));
    expect(await errnoFrom(call, { op: 'link', from: p(from), to: p(to) })).toBe(errno);
  });

  it.each([
    ['/none', { write: false, create: false, exclusive: false }, 'ENOENT'],
    ['/file/x', { write: false, create: false, exclusive: false }, 'ENOTDIR'],
    ['/loop', { write: false, create: false, exclusive: false }, 'ELOOP'],
    ['/dangling', { write: false, create: false, exclusive: false }, 'ENOENT'],
    ['/empty', { write: true, create: false, exclusive: false }, 'EISDIR'],
    ['/file', { write: true, create: true, exclusive: true }, 'EEXIST'],
    ['/dangling', { write: true, create: true, exclusive: true }, 'EEXIST'],
    [`/${long}`, { write: true, create: true, exclusive: true }, 'ENAMETOOLONG'],
  ])('open of %s with %o is %s', async (path, how, errno) => {
    const flags =
      c.SSH_FXF_READ |
      (how.write ? c.SSH_FXF_WRITE : 0) |
      (how.create ? c.SSH_FXF_CREAT : 0) |
      (how.exclusive ? c.SSH_FXF_EXCL : 0);
    expect(await errnoFrom(embedded.client.open(p(path), flags), { op: 'open', path: p(path), ...how })).toBe(
      errno,
    );
  });

  it('a server out of handles is EMFILE, for files and directories', async () => {
    const weak = await startEmbeddedPair({ maxHandles: 2 });
    const { client } = weak;
    await Promise.all([client.opendir(p('/')), client.opendir(p('/'))]);
    const error = await client.opendir(p('/')).catch((failure: unknown) => failure);
    expect(await explain(client, error, { op: 'opendir', path: p('/') })).toMatchObject({ code: 'EMFILE' });
    const open = { op: 'open', path: p('/f'), write: true, create: true, exclusive: false } as const;
    expect(await explain(client, error, open)).toMatchObject({ code: 'EMFILE' });
    await weak.end();
  });

  it('a sticky directory that all may write refuses with EPERM, a plain one with EACCES', async () => {
    await chmod(join(embedded.root, 'full'), 0o1777);
    const denied = new SftpStatusError(c.SSH_FX_PERMISSION_DENIED, '');
    const explained = (what: Operation) => explain(embedded.client, denied, what).then(({ code }) => code);
    expect(await explained({ op: 'remove', path: p('/full/entry') })).toBe('EPERM');
    expect(await explained({ op: 'rename', from: p('/full/entry'), to: p('/x') })).toBe('EPERM');
    expect(await explained({ op: 'remove', path: p('/file') })).toBe('EACCES');
    expect(await explained({ op: 'mkdir', path: p('/full/new') })).toBe('EACCES');
    expect(await explained({ op: 'setstat', path: p('/file') })).toBe('EPERM');
    expect(await explained({ op: 'setstat', path: p('/hidden/file') })).toBe('EACCES');
    expect(await explained({ op: 'link', from: p('/empty'), to: p('/x') })).toBe('EPERM');
    expect(await explained({ op: 'opendir', path: p('/empty') })).toBe('EACCES');
  });
});

describe('what cannot be provoked', () => {
  const ROOMY: StatVfs = {
    bsize: 4096,
    frsize: 4096,
    blocks: 100,
    bfree: 10,
    bavail: 10,
    files: 100,
    ffree: 10,
    favail: 10,
    fsid: 1n,
    flag: 0,
    namemax: 255,
  };
  const gone = () => Promise.reject(new SftpStatusError(c.SSH_FX_NO_SUCH_FILE, ''));

  /** A server with these files, and one filesystem that is `stats` unless a path has its own. */
  function server(
    files: Record<string, SftpAttributes> = {},
    stats: Partial<StatVfs> | null = {},
    others: Record<string, Partial<StatVfs>> = {},
  ): ProbedClient {
    const look = (path: ByteString) => (files[path] ? Promise.resolve(files[path]) : gone());
    return {
      lstat: look,
      stat: look,
      readlink: gone,
      opendir: () => Promise.resolve('h' as SftpHandle),
      readdir: () => Promise.resolve(null),
      close: () => Promise.resolve(),
      statvfs: (path) => Promise.resolve({ ...ROOMY, ...stats, ...others[path] }),
      has: (extension) => extension === c.STATVFS && stats !== null,
      limits: { maxPacket: 0, maxRead: 0, maxWrite: 0, maxHandles: 0 },
      openHandles: 0,
    };
  }

  const FILE: SftpAttributes = { permissions: 0o100644 };
  const DIRECTORY: SftpAttributes = { permissions: 0o040755 };
  const failure = new SftpStatusError(c.SSH_FX_FAILURE, 'Failure');
  const errno = async (client: ProbedClient, what: Operation, error: unknown = failure) =>
    (await explain(client, error, what)).code;
  const create = { op: 'open', path: p('/new'), write: true, create: true, exclusive: true } as const;

  it.each<Operation>([
    { op: 'write', path: p('/f') },
    { op: 'truncate', path: p('/f') },
    { op: 'copy', path: p('/f') },
    { op: 'fsync', path: p('/f') },
    { op: 'mkdir', path: p('/d') },
    { op: 'symlink', path: p('/l') },
    { op: 'link', from: p('/f'), to: p('/l') },
    { op: 'rename', from: p('/f'), to: p('/g') },
    create,
  ])(
    'a failed $op is ENOSPC with hardly a block or inode left, EROFS when read-only, else EIO',
    async (what) => {
      expect(await errno(server({}, { bavail: 0 }), what)).toBe('ENOSPC');
      expect(await errno(server({}, { favail: 0 }), what)).toBe('ENOSPC');
      expect(await errno(server({}, { blocks: 2 ** 20, bavail: 255 }), what)).toBe('ENOSPC');
      expect(await errno(server({}, { blocks: 2 ** 20, bavail: 256 }), what)).toBe('EIO');
      expect(await errno(server({}, { files: 2 ** 20, favail: 15 }), what)).toBe('ENOSPC');
      expect(await errno(server({}, { files: 2 ** 20, favail: 16 }), what)).toBe('EIO');
      expect(await errno(server({}, { bavail: 2, favail: 2 }), what)).toBe('EIO');
      expect(await errno(server({}, { files: 0, ffree: 0, favail: 0 }), what)).toBe('EIO');
      expect(await errno(server({}, { flag: 1 }), what)).toBe('EROFS');
      expect(await errno(server(), what)).toBe('EIO');
      expect(await errno(server({}, null), what)).toBe('EIO');
    },
  );

  it.each<Operation>([
    { op: 'remove', path: p('/f') },
    { op: 'rmdir', path: p('/f') },
    { op: 'setstat', path: p('/f') },
    { op: 'open', path: p('/f'), write: true, create: false, exclusive: false },
  ])('a failed $op is EROFS on a read-only filesystem', async (what) => {
    expect(await errno(server({ '/f': FILE }, { flag: 1 }), what)).toBe('EROFS');
  });

  it('a failed open is EMFILE where the server fails to open its login directory too, whatever it once said', async () => {
    const what = { op: 'open', path: p('/f'), write: false, create: false, exclusive: false } as const;
    const holding = { ...server({ '/f': FILE }), openHandles: 5 };
    const refusing = (code: number) => ({
      ...holding,
      limits: { ...holding.limits, maxHandles: 1000 },
      opendir: () => Promise.reject(new SftpStatusError(code, '')),
    });
    expect(await errno(holding, what)).toBe('EIO');
    expect(await errno(refusing(c.SSH_FX_FAILURE), what)).toBe('EMFILE');
    expect(await errno(refusing(c.SSH_FX_PERMISSION_DENIED), what)).toBe('EIO');
    expect(await errno({ ...refusing(c.SSH_FX_FAILURE), openHandles: 0 }, what)).toBe('EIO');
  });

  it('while the server cannot be asked, the errno is that of the outage, not a guess', async () => {
    const out = () => Promise.reject(new FsError('ETIMEDOUT', 'no sign of the server'));
    const away: ProbedClient = {
      ...server(),
      lstat: out,
      stat: out,
      readlink: out,
      opendir: out,
      readdir: out,
      statvfs: out,
    };
    for (const what of [
      create,
      { op: 'rename', from: p('/f'), to: p('/g') },
      { op: 'rmdir', path: p('/d') },
    ] as const) {
      expect(await errno(away, what)).toBe('ETIMEDOUT');
    }
    const lost = new ConnectionLostError('lost');
    expect(await errno(away, { op: 'lstat', path: p('/f') }, lost)).toBe('EIO');
  });

  it('a failed change of a dangling link is EROFS, as its directory shows: statvfs follows the link', async () => {
    const client = server({ '/l': { ...FILE, permissions: 0o120777 } }, { flag: 1 });
    const { statvfs } = client;
    const follows: typeof client = {
      ...client,
      statvfs: (path) =>
        path === '/l' ? Promise.reject(new SftpStatusError(c.SSH_FX_NO_SUCH_FILE, '')) : statvfs(path),
    };
    expect(await errno(follows, { op: 'setstat', path: p('/l') })).toBe('EROFS');
  });

  it('permission denied on a read-only filesystem is EROFS', async () => {
    const denied = new SftpStatusError(c.SSH_FX_PERMISSION_DENIED, '');
    for (const op of ['mkdir', 'remove', 'rmdir', 'setstat', 'symlink'] as const) {
      expect(await errno(server({}, { flag: 1 }), { op, path: p('/x') }, denied)).toBe('EROFS');
    }
  });

  it('an empty directory that cannot be removed is busy', async () => {
    expect(await errno(server({ '/d': DIRECTORY }), { op: 'rmdir', path: p('/d') })).toBe('EBUSY');
  });

  it('different filesystems are EXDEV', async () => {
    const client = server({ '/a/f': FILE }, {}, { '/b': { fsid: 2n } });
    expect(await errno(client, { op: 'rename', from: p('/a/f'), to: p('/b/f') })).toBe('EXDEV');
    expect(await errno(client, { op: 'link', from: p('/a/f'), to: p('/b/f') })).toBe('EXDEV');
  });

  it('no such file on a handle is ESTALE', async () => {
    const missing = new SftpStatusError(c.SSH_FX_NO_SUCH_FILE, '');
    for (const op of ['read', 'write', 'fsync', 'fstat', 'copy', 'truncate'] as const) {
      expect(await errno(server(), { op, path: null }, missing)).toBe('ESTALE');
    }
    expect(await errno(server({ '/f': FILE }), { op: 'truncate', path: p('/f') }, missing)).toBe('ESTALE');
    expect(await errno(server(), { op: 'truncate', path: p('/f') }, missing)).toBe('ENOENT');
  });

  it('reading or truncating a directory is EISDIR', async () => {
    const client = server({ '/d': DIRECTORY });
    expect(await errno(client, { op: 'read', path: p('/d') })).toBe('EISDIR');
    expect(await errno(client, { op: 'truncate', path: p('/d') })).toBe('EISDIR');
  });

  it('unsupported is EOPNOTSUPP, for links EPERM', async () => {
    const unsupported = new SftpStatusError(c.SSH_FX_OP_UNSUPPORTED, '');
    expect(await errno(server(), { op: 'statvfs', path: p('/') }, unsupported)).toBe('EOPNOTSUPP');
    expect(await errno(server(), { op: 'link', from: p('/a'), to: p('/b') }, unsupported)).toBe('EPERM');
  });

  it.each([
    [11, 'EEXIST'],
    [14, 'ENOSPC'],
    [15, 'EDQUOT'],
    [18, 'ENOTEMPTY'],
    [19, 'ENOTDIR'],
    [21, 'ELOOP'],
    [24, 'EISDIR'],
    [999, 'EIO'],
  ])('the later code %i is %s', async (code, name) => {
    expect(errnoOfStatus(code)).toBe(name);
    expect(await errno(server(), { op: 'mkdir', path: p('/x') }, new SftpStatusError(code, ''))).toBe(name);
  });

  it('a probe that fails leaves the first guess', async () => {
    const broken: ProbedClient = {
      ...server(),
      lstat: () => Promise.reject(new ConnectionLostError('gone')),
      stat: () => Promise.reject(new ConnectionLostError('gone')),
      opendir: () => Promise.reject(new ConnectionLostError('gone')),
      statvfs: () => Promise.reject(new ConnectionLostError('gone')),
    };
    expect(await errno(broken, { op: 'rmdir', path: p('/d') })).toBe('EIO');
    expect(await errno(broken, { op: 'rename', from: p('/a'), to: p('/b') })).toBe('EIO');
    expect(await errno(broken, create)).toBe('EIO');
  });

  it('a full disk is found by the directory, where the file does not have its name yet, and is said in words', async () => {
    const full = server({}, { bavail: 0 });
    const statvfs: ProbedClient['statvfs'] = (path) => (path === '/f' ? gone() : full.statvfs(path));
    const told = await explain({ ...full, statvfs }, failure, { op: 'write', path: p('/f') });
    expect(told.code).toBe('ENOSPC');
    expect(told.message).toBe('write: no space left on device; the server answered status 4 (Failure)');
  });

  it('a lost connection, a broken protocol and a bug of ours are EIO; an FsError stays', async () => {
    const what = { op: 'lstat', path: p('/x') } as const;
    const lost = await explain(server(), new ConnectionLostError('the connection ended'), what);
    expect(lost).toMatchObject({ code: 'EIO', message: expect.stringContaining('the connection ended') });
    expect(await errno(server(), what, new ProtocolError('x'))).toBe('EIO');
    expect(await errno(server(), what, new TypeError('x'))).toBe('EIO');
    const own = new FsError('ENOSPC');
    expect(await explain(server(), own, what)).toBe(own);
  });

  it.each([
    ['/a/b', '/a'],
    ['/a', '/'],
    ['/', '/'],
    ['a/b', 'a'],
    ['a', '.'],
  ])('the parent of %s is %s', (path, parent) => {
    expect(serverParent(ascii(path))).toBe(parent);
  });
});
