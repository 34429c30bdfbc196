import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  askControl,
  type ControlHandler,
  ControlServer,
  type MountStatus,
  parseRequest,
} from '../../../src/cli/control.js';
import {
  ensurePrivateDirectory,
  logFile,
  mountHash,
  runtimeDirectory,
  socketName,
} from '../../../src/cli/directories.js';
import { findDaemons, joinMounts } from '../../../src/cli/discover.js';
import { formatList } from '../../../src/cli/list.js';

const STATUS: MountStatus = {
  source: 'me@host:',
  mountpoint: '/mnt',
  state: 'serving',
  pid: 77,
  since: 1_000_000,
  driver: 'mount',
  server: 'OpenSSH_9',
  connections: 1,
  lanes: 0,
  filesystem: { openHandles: 0 },
  kernel: { inFlight: 0 },
};

let directory: string;
const servers: ControlServer[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'remora-control-'));
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  await rm(directory, { recursive: true, force: true });
});

async function serve(handler: Partial<ControlHandler> = {}, name = socketName('/mnt', 77)): Promise<string> {
  const path = join(directory, name);
  const full = { status: () => STATUS, flush: async () => [], stop: () => {}, ...handler };
  servers.push(await ControlServer.listen(path, full));
  return path;
}

/** Sends raw bytes and answers everything that came back until the server hung up or was silent. */
function raw(path: string, bytes: string | Buffer, lines: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(path, () => socket.write(bytes));
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (text.split('\n').length > lines) socket.destroy();
    });
    socket.on('close', () => resolve(text));
  });
}

describe('the control protocol', () => {
  it('answers status, flush and stop', async () => {
    const stops: boolean[] = [];
    const unsent = [{ path: 'a', bytes: 3, error: 'ENOSPC' }];
    const path = await serve({ flush: async () => unsent, stop: (force) => stops.push(force) });
    expect(await askControl(path, { op: 'status' }, 2000)).toEqual(STATUS);
    expect(await askControl(path, { op: 'flush' }, 2000)).toEqual(unsent);
    await askControl(path, { op: 'stop', force: true }, 2000);
    await askControl(path, { op: 'stop', force: false }, 2000);
    expect(stops).toEqual([true, false]);
  });

  it('tells a failed flush as refused', async () => {
    const path = await serve({ flush: () => Promise.reject(new Error('server gone')) });
    await expect(askControl(path, { op: 'flush' }, 2000)).rejects.toMatchObject({
      kind: 'refused',
      message: 'server gone',
    });
  });

  it('gives up on a daemon that does not answer', async () => {
    const path = await serve({ flush: () => new Promise(() => {}) });
    await expect(askControl(path, { op: 'flush' }, 50)).rejects.toMatchObject({ kind: 'silent' });
  });

  it('parses requests and nothing else', () => {
    expect(parseRequest('{"op":"status"}')).toEqual({ op: 'status' });
    expect(parseRequest('{"op":"stop","force":"yes"}')).toEqual({ op: 'stop', force: false });
    for (const line of ['', '{', 'null', '7', '[]', '{"op":"exec"}', '{"op":{}}']) {
      expect(parseRequest(line), line).toBeNull();
    }
  });

  it('survives rubbish, split lines and a line without end', async () => {
    const path = await serve();
    expect(await raw(path, 'rubbish\n{"op":"sta', 1)).toContain('unknown request');
    expect(await raw(path, Buffer.alloc(100_000, 'x'), 1)).toBe('');
    expect(await askControl(path, { op: 'status' }, 2000)).toEqual(STATUS);
  });
});

describe('finding daemons', () => {
  it('removes the socket of a killed daemon and keeps the living', async () => {
    const dead = join(directory, socketName('/gone', 1));
    const server = await ControlServer.listen(`${dead}.tmp`, {
      status: () => STATUS,
      flush: async () => [],
      stop: () => {},
    });
    // A name that nobody listens on: as a killed process leaves it.
    await writeFile(dead, '');
    await server.close();
    await serve();
    await writeFile(join(directory, 'unrelated'), '');
    const found = await findDaemons(directory);
    expect(found.map(({ pid, status }) => [pid, status?.mountpoint])).toEqual([[77, '/mnt']]);
    expect(existsSync(dead)).toBe(false);
    expect(existsSync(join(directory, 'unrelated'))).toBe(true);
    expect(await findDaemons(directory, '/elsewhere')).toEqual([]);
    expect(await findDaemons(directory, '/mnt')).toHaveLength(1);
  });

  it('finds none where there is no directory', async () => {
    expect(await findDaemons(join(directory, 'absent'))).toEqual([]);
  });
});

describe('the list', () => {
  const daemon = { socket: 's', pid: 77, hash: mountHash('/mnt'), status: STATUS };
  const silent = { socket: 's', pid: 78, hash: mountHash('/silent'), status: null };

  it('joins daemons and the mount table', () => {
    const mounts = [
      { source: 'h:', mountpoint: '/silent', dead: false },
      { source: 'me@host:', mountpoint: '/mnt', dead: false },
      { source: 'h:', mountpoint: '/dead', dead: true },
      { source: 'h:', mountpoint: '/other', dead: false },
    ];
    const rows = joinMounts([silent, daemon], mounts, 1_065_000);
    expect(rows.map(({ mountpoint, state, pid, uptime }) => [mountpoint, state, pid, uptime])).toEqual([
      ['/dead', 'dead', null, null],
      ['/mnt', 'serving', 77, 65],
      ['/other', 'unknown', null, null],
      ['/silent', 'not answering', 78, null],
    ]);
    expect(formatList(rows)).toBe(
      [
        'SOURCE    MOUNT POINT  STATE          UPTIME  DRIVER  PID',
        'h:        /dead        dead           -       -       -',
        'me@host:  /mnt         serving        1m 05s  mount   77',
        'h:        /other       unknown        -       -       -',
        'h:        /silent      not answering  -       -       78',
        '',
      ].join('\n'),
    );
  });

  it('is empty without mounts, and shows no control characters', () => {
    expect(formatList([])).toBe('');
    const rows = joinMounts([], [{ source: 'a\x1b[31m\nb:', mountpoint: '/x\r', dead: false }], 0);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    expect(formatList(rows).split('\n')[1]).not.toMatch(/[\x00-\x1f]/);
  });
});

describe('directories', () => {
  const uid = process.getuid?.() ?? 0;

  it('uses the runtime directory, and /tmp where it is missing, relative or too long for a socket', () => {
    expect(runtimeDirectory({ XDG_RUNTIME_DIR: '/run/user/7' }, 7)).toBe('/run/user/7/remora');
    expect(runtimeDirectory({}, 7)).toBe('/tmp/remora-7');
    expect(runtimeDirectory({ XDG_RUNTIME_DIR: 'here' }, 7)).toBe('/tmp/remora-7');
    expect(runtimeDirectory({ XDG_RUNTIME_DIR: `/${'x'.repeat(90)}` }, 7)).toBe('/tmp/remora-7');
    expect(logFile({ XDG_STATE_HOME: '/s' }, '/mnt')).toBe(`/s/remora/${mountHash('/mnt')}.log`);
  });

  it('creates a private directory and narrows its own', async () => {
    const path = join(directory, 'a', 'b');
    await ensurePrivateDirectory(path, uid);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    await chmod(path, 0o755);
    await ensurePrivateDirectory(path, uid);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
  });

  it('refuses a symlink, a file and a directory of somebody else', async () => {
    const real = join(directory, 'real');
    await mkdir(real);
    await symlink(real, join(directory, 'link'));
    await writeFile(join(directory, 'file'), '');
    await expect(ensurePrivateDirectory(join(directory, 'link'), uid)).rejects.toThrow(/not a directory/);
    await expect(ensurePrivateDirectory(join(directory, 'file'), uid)).rejects.toThrow();
    await expect(ensurePrivateDirectory(real, uid + 1)).rejects.toThrow(/not a directory of yours/);
  });
});
