/**
 * A hostile server below the kernel: the daemon neither ends nor hangs nor grows, and no program reaches anything
 * outside the mount point that the server chose.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as c from '../../src/sftp/constants.js';
import { isAlive, mountAt } from '../support/processes.js';
import { type Mounted, Remora } from '../support/remora.js';
import { startRogue } from '../support/rogue-host.js';
import { attrs, type Claim, handle, names, status, statvfs } from '../support/rogue-packets.js';
import { type Asked, CONTENT, type Misdeed, makeTree, type Script } from '../support/rogue-server.js';
import { run } from '../support/run.js';
import { Scope } from '../support/scope.js';
import type { Server } from '../support/server.js';

/** Files that are not on the server's disk, and what is claimed of them. */
const CLAIMS: Readonly<Record<string, Claim>> = {
  '/share/null': { mode: 0o020666 },
  '/share/disk': { mode: 0o060666 },
  '/share/suid': { mode: 0o104755 },
  '/share/nonsense': { mode: 0o177777 },
  '/share/huge': { size: 2n ** 63n, time: 0xffff_ffff, uid: 0xffff_ffff },
  '/share/endless': { mode: 0o040755 },
  '/share/evil': { mode: 0o040755 },
};

const WRONG_NAMES = ['', '..', '/', '../../up', 'a/b', 'nul\0', 'x'.repeat(4096), 'good'];

/** The script of one server: targets of `links` by their path. */
function script(links: Readonly<Record<string, string>>): Script {
  let listed = 0;
  const read = new Set<string>();
  const answer = ({ id, request, count }: Asked): Misdeed => {
    switch (request.type) {
      case c.SSH_FXP_LSTAT:
      case c.SSH_FXP_STAT: {
        const claim = CLAIMS[request.path];
        if (claim !== undefined) return attrs(id, claim);
        if (request.path in links) return attrs(id, { mode: 0o120777, size: BigInt(count) });
        if (request.path === '/share/changing') return attrs(id, { mode: count % 2 ? 0o040755 : 0o100644 });
        return 'honest';
      }
      case c.SSH_FXP_READLINK: {
        const target = links[request.path];
        return target === undefined ? 'honest' : names(id, [target]);
      }
      case c.SSH_FXP_OPENDIR:
        return request.path in CLAIMS ? handle(id, request.path) : 'honest';
      case c.SSH_FXP_READDIR:
        if (request.handle === '/share/endless') {
          const list = Array.from({ length: 300 }, () => `${listed++}-`.padEnd(240, 'x'));
          return names(id, list);
        }
        if (request.handle !== '/share/evil') return 'honest';
        if (read.delete(request.handle)) return status(id, c.SSH_FX_EOF);
        read.add(request.handle);
        return names(id, WRONG_NAMES);
      case c.SSH_FXP_CLOSE:
        return request.handle in CLAIMS ? status(id, c.SSH_FX_OK) : 'honest';
      case c.SSH_FXP_EXTENDED:
        return request.extension === c.STATVFS ? statvfs(id, Array<bigint>(11).fill(0n)) : 'honest';
      default:
        return 'honest';
    }
  };
  return { answer };
}

describe('on a mount of a hostile server', () => {
  let scope: Scope;
  let remora: Remora;
  let server: Server;
  let mounted: Mounted;
  let secret: string;

  const at = (...names: string[]) => join(mounted.directory, ...names);
  const sh = (program: string, ...args: string[]) => run(program, args, { timeout: 60_000 });

  beforeAll(async () => {
    scope = await Scope.open('rogue');
    const disk = await scope.makeDirectory('disk');
    await makeTree(await scope.makeDirectory('disk/share'));
    secret = join(scope.directory, 'secret');
    await writeFile(secret, 'local');
    // From the mount point up to the directory of the scope, and what lies there.
    const climb = '../'.repeat(12) + secret.slice(1);
    const links = {
      '/share/out': climb,
      '/share/d/out': `../${climb}`,
      '/share/sneaky': `d/../${climb}`,
      '/share/dots': './/./../secret',
      '/share/absolute': secret,
      '/share/inside': '/share/d/x',
      '/share/nul': 'f\0x',
      '/share/long': 'x'.repeat(100_000),
    };
    server = await startRogue(scope, disk, script(links));
    remora = await Remora.create(scope);
    mounted = await remora.mount(server, '/share', { options: ['dir_cache=no,contain_symlinks=share'] });
  });
  afterAll(async () => {
    await scope?.close();
  });

  it('devices and set-user-id programs of the server are neither', async () => {
    const { options } = (await mountAt(mounted.directory)) ?? { options: '' };
    expect(options.split(',')).toEqual(expect.arrayContaining(['nosuid', 'nodev']));
    expect((await sh('stat', '-c', '%F', at('null'), at('disk'), at('nonsense'))).stdout).toBe(
      'character special file\nblock special file\nsocket\n',
    );
    for (const name of ['null', 'disk', 'nonsense']) expect((await sh('cat', at(name))).code).toBe(1);
  });

  it('absurd sizes, times and owners are shown, and break nothing', async () => {
    expect((await sh('stat', '-c', '%s %Y', at('huge'))).stdout).toBe(
      `${Number.MAX_SAFE_INTEGER} 4294967295\n`,
    );
    expect((await sh('head', '-c', '10', at('huge'))).code).toBe(1);
    expect((await sh('df', mounted.directory)).stderr).toBe('');
  });

  it('names that would lead elsewhere are not there', async () => {
    expect((await sh('find', at('evil'), '-mindepth', '1', '-printf', '%f\n')).stdout).toBe('good\n');
  });

  it('a directory that never ends is an error, in bounded memory', async () => {
    const listing = await sh('ls', at('endless'));
    expect(listing).toMatchObject({ code: 2, stderr: expect.stringContaining('Input/output error') });
    const status = await readFile(`/proc/${mounted.pid}/status`, 'utf8');
    const megabytes = Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1]) / 1024;
    expect(megabytes).toBeLessThan(1100);
  });

  it('a file that turns into a directory and back keeps nobody waiting', async () => {
    for (let turn = 0; turn < 6; turn += 1) {
      await sh('cat', at('changing'));
      await sh('ls', at('changing'));
    }
    expect(await isAlive(mounted.pid)).toBe(true);
  });

  it.each(['out', 'd/out', 'sneaky', 'dots', 'absolute'])('the link %s leads nowhere', async (name) => {
    const refused = { code: 1, stdout: '', stderr: expect.stringContaining('Invalid cross-device link') };
    expect(await sh('cat', at(name))).toMatchObject(refused);
    expect(await sh('readlink', '-v', at(name))).toMatchObject(refused);
    expect((await sh('sh', '-c', 'echo overwritten > "$0"', at(name))).code).not.toBe(0);
    expect(await readFile(secret, 'utf8')).toBe('local');
  });

  it('an absolute link within the server’s directory leads to the file here', async () => {
    expect((await sh('readlink', at('inside'))).stdout).toBe('d/x\n');
    expect((await sh('cat', at('inside'))).stdout).toBe('x');
  });

  it.each(['nul', 'long'])('the link %s, which no server can have, is an error', async (name) => {
    expect(await sh('readlink', '-v', at(name))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Input/output error'),
    });
  });

  it('work goes on beside all that', async () => {
    expect((await readFile(at('f'))).equals(CONTENT)).toBe(true);
    await writeFile(at('new'), 'written');
    expect((await sh('cat', at('new'))).stdout).toBe('written');
    await mounted.idle();
  });

  it('contain_symlinks=none follows them, for whoever wants that', async () => {
    const trusting = await remora.mount(server, '/share', {
      options: ['dir_cache=no,contain_symlinks=none'],
    });
    for (const name of ['out', 'd/out', 'sneaky', 'absolute']) {
      expect((await sh('cat', join(trusting.directory, name))).stdout).toBe('local');
    }
    await trusting.unmount();
  });

  it('ends as every mount does', async () => {
    await mounted.unmount();
  });
});
