/** The client against the embedded server: what goes in comes out, and lands in the directory it serves. */
import { lstat, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ByteString, toBuffer } from '../../../src/base/bytes.js';
import { generateKeyPair } from '../../../src/demo/keys.js';
import { startServer } from '../../../src/demo/server.js';
import { prepareService, SftpSession } from '../../../src/demo/sftp-server.js';
import { linkCountOf, type SftpName } from '../../../src/sftp/attributes.js';
import { SftpClient, type SftpHandle } from '../../../src/sftp/client.js';
import * as c from '../../../src/sftp/constants.js';
import { encodeInit } from '../../../src/sftp/handshake.js';
import { encodeRequest } from '../../../src/sftp/requests.js';
import { duplexPair } from '../../support/duplex.js';
import { type Embedded, startEmbeddedPair } from '../../support/sftp.js';

const p = (path: string) => path as ByteString;
const CREATE = c.SSH_FXF_READ | c.SSH_FXF_WRITE | c.SSH_FXF_CREAT;

async function listAll(client: SftpClient, path: string): Promise<SftpName[]> {
  const handle = await client.opendir(p(path));
  const all: SftpName[] = [];
  for (let names = await client.readdir(handle); names !== null; names = await client.readdir(handle)) {
    all.push(...names);
  }
  await client.close(handle);
  return all;
}

/** What one READ gives. */
async function read(client: SftpClient, file: SftpHandle, offset: number, length: number): Promise<Buffer> {
  const data = Buffer.alloc(length);
  return data.subarray(0, await client.readInto(file, offset, [data]));
}

describe('the embedded server', () => {
  let embedded: Embedded;
  let client: SftpClient;
  const at = (path: string) => join(embedded.root, path);

  beforeEach(async () => {
    embedded = await startEmbeddedPair();
    client = embedded.client;
  });

  afterEach(async () => {
    expect(client.openHandles).toBe(0);
    await embedded.end();
  });

  it('announces every extension, and full limits', () => {
    expect(client.extensions).toEqual(c.EXTENSION_REVISIONS);
    expect(client.limits).toEqual({ maxPacket: 262144, maxRead: 261120, maxWrite: 261120, maxHandles: 1000 });
  });

  it('stores and gives back a file', async () => {
    const data = Buffer.alloc(300_000, 'remora ');
    const file = await client.open(p('/f'), CREATE, { permissions: 0o640 });
    await Promise.all([
      client.write(file, 0, data.subarray(0, 261120)),
      client.write(file, 261120, data.subarray(261120)),
    ]);
    await client.fsync(file);
    expect(await client.fstat(file)).toMatchObject({ size: 300_000, permissions: 0o100640 });
    const parts = await Promise.all([read(client, file, 0, 261120), read(client, file, 261120, 261120)]);
    expect(Buffer.concat(parts).equals(data)).toBe(true);
    expect(await read(client, file, 300_000, 1)).toEqual(Buffer.alloc(0));
    await client.close(file);
    expect((await readFile(at('f'))).equals(data)).toBe(true);
  });

  it('appends whatever the offset', async () => {
    await writeFile(at('log'), 'one');
    const file = await client.open(p('/log'), c.SSH_FXF_WRITE | c.SSH_FXF_APPEND);
    await client.write(file, 0, Buffer.from(' two'));
    await client.close(file);
    expect(await readFile(at('log'), 'utf8')).toBe('one two');
  });

  it('keeps names that are not UTF-8', async () => {
    const name = p('/caf\xe9\xff');
    await client.mkdir(name, { permissions: 0o700 });
    await client.symlink(p('/l\xfe'), p('\xe9 target'));
    expect(await client.readlink(p('/l\xfe'))).toBe('\xe9 target');
    expect((await listAll(client, '/')).map(({ filename }) => filename).sort()).toEqual([
      'caf\xe9\xff',
      'l\xfe',
    ]);
    expect(await client.realpath(name)).toBe(name);
    const stored = await readdir(Buffer.from(embedded.root), { encoding: 'buffer' });
    expect(stored.some((each) => each.equals(toBuffer(p('caf\xe9\xff'))))).toBe(true);
  });

  it('lists hundreds of entries with attributes and link counts', async () => {
    await mkdir(at('d'));
    await Promise.all(
      Array.from({ length: 250 }, (_, index) => writeFile(at(`d/${index}`), 'x'.repeat(index))),
    );
    await client.hardlink(p('/d/7'), p('/d/seven'));
    const names = await listAll(client, '/d');
    expect(names).toHaveLength(251);
    const seven = names.find(({ filename }) => filename === 'seven');
    expect(seven?.attributes.size).toBe(7);
    expect(linkCountOf(seven?.longname ?? p(''))).toBe(2);
    expect(linkCountOf(names.find(({ filename }) => filename === '8')?.longname ?? p(''))).toBe(1);
  });

  it('describes types and special bits as ls does', async () => {
    await mkdir(at('t'), { mode: 0o777 });
    await client.setstat(p('/t'), { permissions: 0o1777 });
    await writeFile(at('s'), '');
    await client.setstat(p('/s'), { permissions: 0o4644 });
    await symlink('s', at('l'));
    const modes = new Map(
      (await listAll(client, '/')).map((each) => [each.filename, each.longname.slice(0, 10)]),
    );
    expect(Object.fromEntries(modes)).toEqual({ t: 'drwxrwxrwt', s: '-rwSr--r--', l: 'lrwxrwxrwx' });
  });

  it('never leads above its root', async () => {
    expect(await client.realpath(p('/../../..'))).toBe('/');
    expect(await client.realpath(p('a/../..'))).toBe('/');
    expect(await client.realpath(p('.'))).toBe('/');
    await client.mkdir(p('/../../../inside'));
    expect((await stat(at('inside'))).isDirectory()).toBe(true);
    await expect(client.lstat(p('/../../../../etc/passwd'))).rejects.toMatchObject({ code: 2 });
  });

  it('makes paths real, up to a last part that does not exist', async () => {
    await mkdir(at('d'));
    await symlink('d', at('l'));
    expect(await client.realpath(p('/l'))).toBe('/d');
    expect(await client.realpath(p('/l/new'))).toBe('/d/new');
    await expect(client.realpath(p('/none/new'))).rejects.toMatchObject({ code: 2 });
  });

  it('changes attributes of paths, handles and links', async () => {
    await writeFile(at('f'), 'content');
    await symlink('f', at('l'));
    await client.setstat(p('/f'), { size: 3, permissions: 0o600, atime: 10, mtime: 20 });
    expect(await client.stat(p('/l'))).toMatchObject({
      size: 3,
      permissions: 0o100600,
      atime: 10,
      mtime: 20,
    });
    await client.lsetstat(p('/l'), { atime: 30, mtime: 40 });
    expect((await lstat(at('l'))).mtimeMs).toBe(40_000);
    expect((await stat(at('l'))).mtimeMs).toBe(20_000);
    await expect(client.lsetstat(p('/l'), { size: 1 })).rejects.toMatchObject({ code: 5 });
    await expect(client.lsetstat(p('/l'), { permissions: 0o600 })).rejects.toMatchObject({ code: 4 });
    const file = await client.open(p('/f'), c.SSH_FXF_WRITE);
    await client.fsetstat(file, { size: 1, atime: 1, mtime: 2 });
    expect(await client.fstat(file)).toMatchObject({ size: 1, atime: 1, mtime: 2 });
    await client.close(file);
  });

  it('applies each part of a change, and answers the failure among them', async () => {
    await mkdir(at('d'), { mode: 0o755 });
    await expect(client.setstat(p('/d'), { size: 1, permissions: 0o700 })).rejects.toMatchObject({ code: 4 });
    expect((await stat(at('d'))).mode & 0o777).toBe(0o700);
  });

  it('renames without replacing, and replaces when asked by posix-rename', async () => {
    await writeFile(at('a'), 'a');
    await writeFile(at('b'), 'b');
    await mkdir(at('d'));
    await mkdir(at('e'));
    await expect(client.rename(p('/a'), p('/b'))).rejects.toMatchObject({ code: 4 });
    await expect(client.rename(p('/d'), p('/e'))).rejects.toMatchObject({ code: 4 });
    await client.rename(p('/d'), p('/g'));
    await client.posixRename(p('/a'), p('/b'));
    expect(await readFile(at('b'), 'utf8')).toBe('a');
    await client.rename(p('/b'), p('/c'));
    expect((await readdir(embedded.root)).sort()).toEqual(['c', 'e', 'g']);
  });

  it('stores a symlink at the link with its target untouched', async () => {
    await client.symlink(p('/link'), p('../../outside'));
    expect(await readlink(at('link'))).toBe('../../outside');
  });

  it('copies on the server', async () => {
    const data = Buffer.alloc(600_000, 'abc');
    await writeFile(at('from'), data);
    const from = await client.open(p('/from'), c.SSH_FXF_READ);
    const to = await client.open(p('/to'), CREATE);
    await client.copyData(from, 0, 0, to, 0);
    expect((await readFile(at('to'))).equals(data)).toBe(true);
    await client.copyData(from, 1, 2, to, 0);
    expect((await readFile(at('to'))).subarray(0, 4).toString()).toBe('bcca');
    await client.copyData(from, 599_999, 10, to, 600_000);
    expect((await stat(at('to'))).size).toBe(600_001);
    await expect(client.copyData(to, 0, 1, to, 5)).rejects.toMatchObject({ code: 4 });
    await Promise.all([client.close(from), client.close(to)]);
  });

  it('tells sizes of filesystems, by path and by handle', async () => {
    const byPath = await client.statvfs(p('/'));
    expect(byPath.blocks).toBeGreaterThan(0);
    expect(byPath).toMatchObject({ namemax: 255, flag: 0 });
    const file = await client.open(p('/f'), CREATE);
    await client.remove(p('/f'));
    expect(await client.fstatvfs(file)).toMatchObject({ fsid: byPath.fsid, blocks: byPath.blocks });
    expect(await client.fstat(file)).toMatchObject({ size: 0 });
    await client.close(file);
  });

  it('knows homes and names', async () => {
    expect(await client.expandPath(p('~/x'))).toBe('/x');
    expect(await client.homeDirectory(p(''))).toBe('/');
    await expect(client.homeDirectory(p('nobody-of-here'))).rejects.toMatchObject({ code: 2 });
    expect(await client.usersGroupsById([0, 0xfffffff0], [0])).toEqual({
      users: ['root', ''],
      groups: ['root'],
    });
  });

  it('refuses handles that are not open, or of the other kind', async () => {
    const directory = await client.opendir(p('/'));
    await expect(read(client, directory, 0, 1)).rejects.toMatchObject({ code: 4 });
    await client.close(directory);
    await expect(client.readdir(directory)).rejects.toMatchObject({ code: 4 });
    await expect(client.fstat('bogus' as SftpHandle)).rejects.toMatchObject({ code: 4 });
  });

  it('a name with a NUL is refused, and the session goes on', async () => {
    await expect(client.lstat(p('/a\0b'))).rejects.toMatchObject({ code: 4 });
    expect(await client.lstat(p('/'))).toMatchObject({ size: expect.any(Number) });
  });
});

describe('a weaker server', () => {
  it('offers only the extensions it is told to, and small transfers', async () => {
    const weak = await startEmbeddedPair({
      extensions: new Set([c.LIMITS]),
      maxRead: 5000,
      maxWrite: 4500,
    });
    expect([...weak.client.extensions.keys()]).toEqual([c.LIMITS]);
    expect(weak.client.limits).toMatchObject({ maxRead: 5000, maxWrite: 4500 });
    await writeFile(join(weak.root, 'f'), Buffer.alloc(9000));
    const file = await weak.client.open(p('/f'), c.SSH_FXF_READ);
    expect(await read(weak.client, file, 0, 5000)).toHaveLength(5000);
    await weak.client.close(file);
    await weak.end();
  });

  it('answers a READ of more than it gives with less', async () => {
    const weak = await startEmbeddedPair({ extensions: new Set(), maxRead: 1000 });
    await writeFile(join(weak.root, 'f'), Buffer.alloc(5000));
    const file = await weak.client.open(p('/f'), c.SSH_FXF_READ);
    expect(await read(weak.client, file, 0, 4000)).toHaveLength(1000);
    await weak.client.close(file);
    await weak.end();
  });

  it('options cap what a strong server permits', async () => {
    const capped = await startEmbeddedPair({}, { maxRead: 4096, maxWrite: 8192 });
    expect(capped.client.limits).toMatchObject({ maxRead: 4096, maxWrite: 8192 });
    await capped.end();
  });

  it('works over a stream that delivers three bytes at a time', async () => {
    const slow = await startEmbeddedPair({}, {}, 3);
    await slow.client.mkdir(p('/d'));
    expect(await slow.client.lstat(p('/d'))).toMatchObject({ permissions: 0o040755 });
    await slow.end();
  });
});

describe('memory of the server', () => {
  it('a client that asks and never reads does not make replies pile up', async () => {
    const { root, end } = await startEmbeddedPair();
    await writeFile(join(root, 'f'), Buffer.alloc(261120));
    const [near, far] = duplexPair();
    new SftpSession(far, await prepareService({ root }));
    const pausing = await SftpClient.connect(near);
    const handle = await pausing.open(p('/f'), c.SSH_FXF_READ);
    near.pause();
    for (let id = 100; id < 2100; id++) {
      near.write(encodeRequest(id, { type: c.SSH_FXP_READ, handle, offset: 0, len: 261120 }));
    }
    // It stops with the replies that fill the two streams' buffers, of the 522 MB asked for.
    await vi.waitFor(() => expect(far.writableLength + near.readableLength).toBeGreaterThan(261120));
    await new Promise((resolve) => setImmediate(resolve));
    expect(far.writableLength + near.readableLength).toBeLessThan(4 * 261120);
    near.destroy();
    await end();
  });

  it('a client that breaks the protocol is cut off', async () => {
    const { root, end } = await startEmbeddedPair();
    const service = await prepareService({ root });
    for (const bytes of [Buffer.alloc(4), Buffer.from([0, 0, 0, 2, 3, 0]), Buffer.from([0xff, 0, 0, 0])]) {
      const [near, far] = duplexPair();
      new SftpSession(far, service);
      near.resume();
      near.write(encodeInit());
      near.write(bytes);
      await new Promise((resolve) => near.on('close', resolve));
    }
    await end();
  });

  it('files that a lost client left open are closed', async () => {
    const { client, root, stream, end } = await startEmbeddedPair();
    await client.open(p('/left-open'), CREATE);
    const path = join(root, 'left-open');
    const isOpen = async () => {
      const links = await Promise.all(
        (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
      );
      return links.includes(path);
    };
    expect(await isOpen()).toBe(true);
    stream.destroy();
    await vi.waitFor(async () => expect(await isOpen()).toBe(false));
    await end();
  });
});

describe('over SSH', () => {
  /** An SFTP client on the raw subsystem channel of an ssh2 connection. */
  function connect(config: ssh2.ConnectConfig): Promise<{ client: SftpClient; connection: ssh2.Client }> {
    return new Promise((resolve, reject) => {
      const connection = new ssh2.Client();
      connection.on('error', reject);
      connection.on('ready', () => {
        connection.subsys('sftp', (error, channel) => {
          if (error) reject(error);
          else SftpClient.connect(channel).then((client) => resolve({ client, connection }), reject);
        });
      });
      connection.connect({ host: '127.0.0.1', ...config });
    });
  }

  it('lets in with the password or the key, with the host key it states, and no one else', async () => {
    const { root, end } = await startEmbeddedPair();
    const login = generateKeyPair();
    const stranger = generateKeyPair();
    const server = await startServer({
      root,
      user: 'guest',
      password: 'sesame',
      authorizedKey: login.public,
    });
    const { port } = server;
    const known = Buffer.from(server.hostKey.split(' ')[1] ?? '', 'base64');
    const hostVerifier = (key: Buffer) => key.equals(known);
    for (const proof of [{ password: 'sesame' }, { privateKey: login.private }]) {
      const { client, connection } = await connect({ port, username: 'guest', hostVerifier, ...proof });
      expect(await client.realpath(p('.'))).toBe('/');
      connection.end();
    }
    for (const proof of [
      { username: 'guest', password: 'wrong' },
      { username: 'guest', privateKey: stranger.private },
      { username: 'other', password: 'sesame' },
      { username: 'guest' },
    ]) {
      await expect(connect({ port, ...proof })).rejects.toThrow(/authentication/i);
    }
    await server.close();
    await end();
  });

  it('carries 64 MB both ways, and a dropped connection fails the calls at once', async () => {
    const { root, end } = await startEmbeddedPair();
    const server = await startServer({ root, user: 'guest', password: 'sesame' });
    const { client } = await connect({ port: server.port, username: 'guest', password: 'sesame' });
    const block = Buffer.alloc(261120, 'remora');
    const file = await client.open(p('/big'), CREATE);
    const blocks = Array.from({ length: 256 }, (_, index) => index * block.length);
    await Promise.all(blocks.map((offset) => client.write(file, offset, block)));
    expect((await client.fstat(file)).size).toBe(256 * block.length);
    const back = await Promise.all(blocks.map((offset) => read(client, file, offset, block.length)));
    expect(back.every((each) => each.equals(block))).toBe(true);
    const lost = new Promise((resolve) => client.onClose(resolve));
    server.dropConnections();
    expect(await lost).toMatchObject({ name: 'ConnectionLostError' });
    await expect(client.lstat(p('/big'))).rejects.toMatchObject({ name: 'ConnectionLostError' });
    await server.close();
    await end();
  });
});
