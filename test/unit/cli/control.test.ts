import { existsSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CONTROL } from '../../../src/base/control.js';
import { deferred } from '../../../src/base/deferred.js';
import { askControl } from '../../../src/cli/control-client.js';
import { type MountStatus, parseAnswer, parseRequest } from '../../../src/cli/control-protocol.js';
import { type ControlHandler, ControlServer } from '../../../src/cli/control-server.js';
import {
  ensurePrivateDirectory,
  logFile,
  mountHash,
  runtimeDirectory,
  socketName,
} from '../../../src/cli/directories.js';
import { findDaemons, joinMounts } from '../../../src/cli/discover.js';
import type { Answer, ToPerson } from '../../../src/cli/ipc.js';
import { formatList } from '../../../src/cli/list.js';
import type { Unsent } from '../../../src/fs/open-file.js';
import { ConnectError } from '../../../src/ssh/errors.js';
import { QUIET, STATUS } from '../../support/control.js';

const QUICKLY = { timeout: 2000 };

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
  servers.push(await ControlServer.listen(path, { ...QUIET, ...handler }));
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
  it('answers status, unsent, flush and stop', async () => {
    const stops: boolean[] = [];
    const unsent = [{ path: 'a', bytes: 3, error: 'ENOSPC', isLost: true }];
    const path = await serve({
      unsent: () => unsent,
      flush: async () => unsent,
      stop: async (force) => {
        stops.push(force);
        return unsent;
      },
    });
    expect(await askControl(path, { op: 'status' }, QUICKLY)).toEqual(STATUS);
    expect(await askControl(path, { op: 'unsent' }, QUICKLY)).toEqual(unsent);
    expect(await askControl(path, { op: 'flush' }, QUICKLY)).toEqual(unsent);
    expect(await askControl(path, { op: 'stop', force: true }, QUICKLY)).toEqual(unsent);
    await askControl(path, { op: 'stop', force: false }, QUICKLY);
    expect(stops).toEqual([true, false]);
  });

  it('sends the end of a mount to who waits for it before it closes', async () => {
    const path = await serve({ stop: async () => [{ path: 'a', bytes: 3, error: 'lost', isLost: true }] });
    const asked = askControl(path, { op: 'stop', force: true }, QUICKLY);
    await expect(asked).resolves.toHaveLength(1);
    await servers.pop()?.close();
    expect(existsSync(path)).toBe(false);
  });

  it('sends it also when the mount has ended in the very moment that it closes', async () => {
    const ended = deferred<readonly Unsent[]>();
    const asked = deferred<void>();
    const path = await serve({
      stop: () => {
        asked.resolve();
        return ended.promise;
      },
    });
    const answer = askControl(path, { op: 'stop', force: true }, QUICKLY);
    await asked.promise;
    ended.resolve([{ path: 'a', bytes: 3, error: 'lost', isLost: true }]);
    void servers.pop()?.close();
    await expect(answer).resolves.toHaveLength(1);
  });

  it('refreshes a path, which may be any text', async () => {
    const paths: string[] = [];
    const path = await serve({ refresh: async (each) => void paths.push(each) });
    for (const each of ['', 'a/"b"\n€']) await askControl(path, { op: 'refresh', path: each }, QUICKLY);
    expect(paths).toEqual(['', 'a/"b"\n€']);
    expect(parseRequest('{"op":"refresh","path":7}')).toBeNull();
    expect(parseRequest('{"op":"inspect"}')).toEqual({ op: 'inspect' });
  });

  it('tells a failed flush as refused', async () => {
    const path = await serve({ flush: () => Promise.reject(new Error('server gone')) });
    await expect(askControl(path, { op: 'flush' }, QUICKLY)).rejects.toMatchObject({
      kind: 'refused',
      message: 'server gone',
    });
  });

  it('gives up on a daemon that does not answer', async () => {
    const path = await serve({ flush: () => new Promise(() => {}) });
    await expect(askControl(path, { op: 'flush' }, { timeout: 50 })).rejects.toMatchObject({
      kind: 'silent',
    });
  });

  it('parses requests and nothing else', () => {
    expect(parseRequest('{"op":"status"}')).toEqual({ op: 'status' });
    expect(parseRequest('{"op":"stop","force":"yes"}')).toEqual({ op: 'stop', force: false });
    expect(parseRequest('{"op":"reconnect"}')).toEqual({ op: 'reconnect', interactive: false });
    expect(parseAnswer('{"type":"answer","id":4,"text":"x"}')).toEqual({ type: 'answer', id: 4, text: 'x' });
    expect(parseAnswer('{"type":"answer","id":4,"text":7}')).toEqual({ type: 'answer', id: 4, text: null });
    expect(parseAnswer('{"type":"answer","id":"4","text":"x"}')).toBeNull();
    for (const line of ['', '{', 'null', '7', '[]', '{"op":"exec"}', '{"op":{}}']) {
      expect(parseRequest(line), line).toBeNull();
    }
  });

  it('survives rubbish, split lines and a line without end', async () => {
    const path = await serve();
    expect(await raw(path, 'rubbish\n{"op":"sta', 1)).toContain('unknown request');
    expect(await raw(path, Buffer.alloc(100_000, 'x'), 1)).toBe('');
    expect(await askControl(path, { op: 'status' }, QUICKLY)).toEqual(STATUS);
  });
});

describe('questions over the control socket', () => {
  const interactive = { op: 'reconnect', interactive: true } as const;

  it('reach the person, hidden or not, and the answers come back', async () => {
    const path = await serve({
      reconnect: async (prompter) => {
        prompter?.info('the host key is new');
        const password = await prompter?.secret('Password: ');
        const sure = await prompter?.confirm('Sure? ');
        if (`${password} ${sure}` !== 'swordfish yes') throw new Error('wrong');
      },
    });
    const heard: ToPerson[] = [];
    const listener = async (message: ToPerson): Promise<Answer | null> => {
      heard.push(message);
      if (message.type === 'info') return null;
      return { type: 'answer', id: message.id, text: message.hidden ? 'swordfish' : 'yes' };
    };
    expect(await askControl(path, interactive, { listener })).toBe(null);
    expect(heard.map(({ type, text }) => [type, text])).toEqual([
      ['info', 'the host key is new'],
      ['question', 'Password: '],
      ['question', 'Sure? '],
    ]);
  });

  it('nobody is asked when nobody is there', async () => {
    const prompters: unknown[] = [];
    const path = await serve({ reconnect: async (prompter) => void prompters.push(prompter) });
    await askControl(path, { op: 'reconnect', interactive: false }, QUICKLY);
    expect(prompters).toEqual([null]);
  });

  it('a person who gives up or hangs up ends the question, and the reason has its exit code', async () => {
    const endings: string[] = [];
    const path = await serve({
      reconnect: async (prompter) => {
        await prompter?.secret('Password: ').catch((error: Error) => {
          endings.push(error.message);
          throw error;
        });
      },
    });
    const gaveUp = async (message: ToPerson): Promise<Answer | null> =>
      message.type === 'question' ? { type: 'answer', id: message.id, text: null } : null;
    await expect(askControl(path, interactive, { listener: gaveUp })).rejects.toMatchObject({
      kind: 'refused',
      exit: 'interrupted',
    });
    await expect(askControl(path, interactive, { timeout: 50 })).rejects.toMatchObject({ kind: 'silent' });
    await expect.poll(() => endings).toEqual(['no answer', 'no answer']);
    const refused = await serve(
      {
        reconnect: () => Promise.reject(new ConnectError('authentication', 'the password is wrong')),
      },
      socketName('/other', 78),
    );
    await expect(askControl(refused, interactive, QUICKLY)).rejects.toMatchObject({
      kind: 'refused',
      message: 'the password is wrong',
      exit: 'authentication',
    });
  });
});

describe('finding daemons', () => {
  it('removes the socket of a killed daemon and keeps the living', async () => {
    const dead = join(directory, socketName('/gone', 1));
    const server = await ControlServer.listen(`${dead}.tmp`, QUIET);
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
        'me@host:  /mnt         serving        1m 05s  direct  77',
        'h:        /other       unknown        -       -       -',
        'h:        /silent      not answering  -       -       78',
        '',
      ].join('\n'),
    );
  });

  it('has a column of names where there are any', () => {
    const mounts = [{ source: 'h:', mountpoint: '/dead', dead: true }];
    const rows = joinMounts([daemon], mounts, 1_065_000, new Map([['/mnt', 'work']]));
    expect(rows.map(({ name }) => name)).toEqual([null, 'work']);
    expect(formatList(rows)).toBe(
      [
        'NAME  SOURCE    MOUNT POINT  STATE    UPTIME  DRIVER  PID',
        '-     h:        /dead        dead     -       -       -',
        'work  me@host:  /mnt         serving  1m 05s  direct  77',
        '',
      ].join('\n'),
    );
  });

  it('shows how the connection is while the mount serves without one', () => {
    const link = { ...STATUS.link, state: 'offline', reason: 'no answer' } as const;
    const states = (status: MountStatus) =>
      joinMounts([{ ...daemon, status }], [], 0).map(({ state }) => state);
    expect(states({ ...STATUS, link })).toEqual(['offline']);
    expect(states({ ...STATUS, link, state: 'stopping' })).toEqual(['stopping']);
  });

  it('is empty without mounts, and shows no control characters', () => {
    expect(formatList([])).toBe('');
    const rows = joinMounts([], [{ source: 'a\x1b[31m\nb:', mountpoint: '/x\r', dead: false }], 0);
    expect(formatList(rows).split('\n')[1]?.search(CONTROL)).toBe(-1);
  });
});

describe('directories', () => {
  const uid = process.getuid?.() ?? 0;

  it('uses the runtime directory, and /tmp where it is missing, relative or too long for a socket', () => {
    expect(runtimeDirectory({ XDG_RUNTIME_DIR: '/run/user/7' }, 7)).toBe('/run/user/7/remora');
    expect(runtimeDirectory({}, 7)).toBe('/tmp/remora-7');
    // In /tmp anybody could be there first.
    const isRunOurs = uid === 0 && statSync('/run').uid === 0;
    if (isRunOurs) expect(runtimeDirectory({}, 0)).toBe('/run/remora');
    // Root's mounts outlive the session, and mount(8) makes them without one.
    expect(runtimeDirectory({ XDG_RUNTIME_DIR: '/run/user/0' }, 0)).toBe(runtimeDirectory({}, 0));
    // su(1) leaves the variable of the user, whose directory root's would block.
    expect(runtimeDirectory({ XDG_RUNTIME_DIR: '/run/user/7/' }, 0)).toBe(runtimeDirectory({}, 0));
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
