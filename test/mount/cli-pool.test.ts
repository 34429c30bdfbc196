/**
 * Connections for file data against real servers: what a server allows is used, what it refuses is done without
 * in silence, nobody is asked twice, and nothing is left when the mount ends.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ascii } from '../../src/base/bytes.js';
import { CHANNELS, DataChannels } from '../../src/cli/data-channels.js';
import { hostSettings } from '../../src/cli/host-settings.js';
import { processPlace } from '../../src/cli/resolve.js';
import { openSftp } from '../../src/cli/sftp.js';
import { completeOptions, parseOptions } from '../../src/config/parse.js';
import type { SftpClient } from '../../src/sftp/client.js';
import { connect } from '../../src/ssh/connection.js';
import { startEmbedded } from '../support/embedded.js';
import { FakeClock } from '../support/fake-connection.js';
import { endProcesses, isAlive } from '../support/processes.js';
import { runOnTerminal } from '../support/pty.js';
import { type Mounted, type MountStatus, Remora } from '../support/remora.js';
import { must, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import type { Server } from '../support/server.js';
import { Sshd } from '../support/sshd.js';
import { createUser, isRoot, type SystemUser } from '../support/user.js';

let scope: Scope;
let remora: Remora;
let disk: string;

beforeAll(async () => {
  scope = await Scope.open('pool');
  disk = await scope.makeDirectory('disk', undefined, 0o777);
  await writeFile(join(disk, 'hello'), 'from the server\n');
  remora = await Remora.create(scope);
});
afterAll(async () => {
  await scope?.close();
});

const known = (server: Server) =>
  `UserKnownHostsFile=${server.knownHosts},GlobalKnownHostsFile=none,StrictHostKeyChecking=yes`;

/** Commands of the processes below the server, by pid. */
async function processesOf(sshd: Sshd): Promise<ReadonlyMap<number, string>> {
  const pids = await sshd.sessions();
  const commands = pids.map(async (pid) => {
    const text = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
    return [pid, text.replaceAll('\0', ' ').trim()] as const;
  });
  return new Map((await Promise.all(commands)).filter(([, text]) => text !== ''));
}

async function isForsaken(sshd: Sshd): Promise<void> {
  await until('sshd to have no sessions', async () => (await processesOf(sshd)).size === 0);
}

/** A client that is let in and does not go on; null when the server is full. */
function stranded({ port, host }: Server): Promise<Socket | null> {
  const socket = connectTcp(port, host);
  socket.on('error', () => {});
  return new Promise((resolve) => {
    socket.once('close', () => resolve(null));
    socket.once('data', (greeting: Buffer) => {
      if (greeting.toString('latin1').startsWith('SSH-')) resolve(socket);
      else socket.destroy();
    });
  });
}

describe('channels for data', () => {
  let channels: DataChannels;
  let talk: SftpClient;
  let clock: FakeClock;
  const ends: (() => Promise<void>)[] = [];

  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  /** What a mount does with its connections, without the mount. */
  async function begin(server: Server, extra = ''): Promise<void> {
    const text = `${known(server)},IdentityFile=${server.keyFile},IdentityAgent=none,${extra}`;
    const options = completeOptions(parseOptions([text]).given);
    const silent = {
      interactive: false,
      secret: () => Promise.reject(new Error('asked')),
      confirm: () => Promise.reject(new Error('asked')),
      info: (message: string) => expect.fail(`told: ${message}`),
    };
    const { host, port, user } = server;
    const { settings } = hostSettings({ host, port, user }, options, false, processPlace(process.env));
    // The look whether it listens was a connection too, which counts for a moment.
    const first = await until('a login', () => connect(settings, silent).catch(() => null));
    talk = await openSftp(first, options);
    clock = new FakeClock();
    channels = new DataChannels(first, {
      maxConns: options.maxConns,
      clock,
      open: (connection) => openSftp(connection, options),
      report: (text) => expect.fail(`reported: ${text}`),
    });
    ends.push(async () => {
      await Promise.all([first.close(), channels.close()]);
      if (server instanceof Sshd) await isForsaken(server);
    });
  }

  async function reach(connections: number, count: number): Promise<void> {
    await until(`${connections} connections and ${count} channels`, async () => {
      return channels.counts.connections === connections && channels.counts.channels === count;
    }).catch(() => expect(channels.counts).toEqual({ connections, channels: count }));
    for (const client of [talk, ...channels.clients]) {
      const { size } = await client.stat(ascii(join(disk, 'hello')));
      expect(size).toBe(16);
    }
  }

  it('are opened with the mount, on a connection of their own, each with a server process', async () => {
    const sshd = await Sshd.start(scope, { sftp: 'external' });
    await begin(sshd, 'max_read=8k,max_write=4k');
    channels.start();
    await reach(1, CHANNELS);
    for (const { limits } of channels.clients)
      expect(limits).toMatchObject({ maxRead: 8192, maxWrite: 4096 });
    const servers = [...(await processesOf(sshd)).values()].filter((command) => /sftp-server/.test(command));
    expect(servers).toHaveLength(CHANNELS + 1);
  });

  it.each([
    ['max_conns=1', 'MaxSessions 10', 0, CHANNELS],
    ['max_conns=1', 'MaxSessions 3', 0, 2],
    ['max_conns=1', 'MaxSessions 1', 0, 0],
    ['max_conns=2', 'MaxSessions 1', 1, 1],
    ['max_conns=4', 'MaxSessions 1', 3, 3],
    ['max_conns=2', 'ForceCommand internal-sftp', 1, CHANNELS],
  ])('with %s and %s', async (options, config, connections, count) => {
    const sshd = await Sshd.start(scope, { config: [config] });
    await begin(sshd, options);
    channels.start();
    channels.want();
    await reach(connections, count);
  });

  it('run the command of sftp_server', async () => {
    const command = (await must('sh', ['-c', 'ls /usr/lib/openssh/sftp-server'])).trim();
    const sshd = await Sshd.start(scope, { sftp: null });
    await begin(sshd, `sftp_server=${command}`);
    channels.want();
    await reach(1, CHANNELS);
  });

  it('are on the first connection while the server is full, and leave it later', async () => {
    const sshd = await Sshd.start(scope, { config: ['MaxStartups 1'] });
    await begin(sshd, '');
    const stranger = await until('the one place to be taken', () => stranded(sshd));
    channels.start();
    channels.want();
    await reach(0, CHANNELS);
    stranger.destroy();
    await until('a connection for data', async () => {
      clock.advance(30 * 60_000);
      channels.want();
      return channels.counts.connections === 1;
    });
    await reach(1, 2 * CHANNELS);
  });

  it('leave with a connection that is lost', async () => {
    const sshd = await Sshd.start(scope);
    await begin(sshd, '');
    const before = new Set((await processesOf(sshd)).keys());
    channels.want();
    await reach(1, CHANNELS);
    const lost = channels.clients;
    await endProcesses(
      [...(await processesOf(sshd)).keys()].filter((pid) => !before.has(pid)),
      'SIGKILL',
    );
    await until(
      'the lost channels to leave',
      async () => !channels.clients.some((each) => lost.includes(each)),
    );
    await reach(0, CHANNELS);
    clock.advance(60_000);
    channels.want();
    await reach(1, 2 * CHANNELS);
  });

  it('are on the first connection of a server that allows one', async () => {
    const server = await startEmbedded(scope, disk, undefined, { maxConnections: 1 });
    const at = (client: SftpClient) => client.stat(ascii('/hello'));
    await begin(server, 'max_conns=4');
    channels.start();
    channels.want();
    await until('all channels', async () => channels.clients.length === CHANNELS);
    expect(channels.counts.connections).toBe(0);
    for (const client of channels.clients) expect((await at(client)).size).toBe(16);
  });

  it('are none where the server gives one connection with one channel', async () => {
    const server = await startEmbedded(scope, disk, undefined, { maxConnections: 1, maxSessions: 1 });
    await begin(server);
    channels.start();
    channels.want();
    const tries = Array.from({ length: 20 }, () => talk.realpath(ascii('.')));
    expect(await Promise.all(tries)).toHaveLength(20);
    expect(channels.clients).toEqual([]);
  });
});

describe('a mount', () => {
  afterEach(async () => {
    await remora.discard();
  });

  const connections = async (mount: Mounted) => (await mount.status()).connections;

  async function works(mount: Mounted): Promise<void> {
    expect(await readFile(join(mount.directory, 'hello'), 'utf8')).toBe('from the server\n');
    const note = `note-${basename(mount.directory)}`;
    await writeFile(join(mount.directory, note), 'x'.repeat(100_000));
    expect((await readFile(join(disk, note))).length).toBe(100_000);
  }

  it('has two connections, tells so, and leaves none', async () => {
    const sshd = await Sshd.start(scope);
    const mount = await remora.mount(sshd, disk);
    await until('the second connection', async () => (await connections(mount)) === 2);
    await works(mount);
    const { stdout } = await remora.run(['list', '--json']);
    // Other files mount at the same time.
    const rows: readonly MountStatus[] = JSON.parse(stdout);
    const own = rows.filter(({ mountpoint }) => mountpoint === mount.directory);
    expect(own).toMatchObject([{ connections: 2, lanes: expect.any(Number) }]);
    await mount.unmount();
    await isForsaken(sshd);
  });

  it('that is ended at once leaves no connection either', async () => {
    const sshd = await Sshd.start(scope);
    for (let i = 0; i < 3; i++) {
      const mount = await remora.mount(sshd, disk, { options: ['max_conns=4'] });
      await remora.run(['unmount', mount.directory]);
      expect(await isAlive(mount.pid)).toBe(false);
    }
    await isForsaken(sshd);
  });

  it('of a server that allows one connection works and says nothing', async () => {
    const server = await startEmbedded(scope, disk, undefined, { maxConnections: 1 });
    const mount = await remora.mount(server, '/');
    await works(mount);
    expect(await connections(mount)).toBe(1);
    await mount.unmount();
    expect(await readLog(mount)).toBe('');
  });

  it('goes on when the connection for data is lost', async () => {
    const sshd = await Sshd.start(scope);
    const mount = await remora.mount(sshd, disk);
    const first = new Set((await processesOf(sshd)).keys());
    const others = async () => [...(await processesOf(sshd)).keys()].filter((pid) => !first.has(pid));
    await until('the second connection', async () => (await connections(mount)) === 2);
    await endProcesses(await others(), 'SIGKILL');
    await works(mount);
    expect(await mount.status()).toMatchObject({ state: 'serving' });
    await mount.unmount();
    await isForsaken(sshd);
  });

  describe.runIf(isRoot)('with a password', () => {
    let user: SystemUser;
    beforeAll(async () => {
      user = await createUser(scope);
    });

    /** Mounts with a log of everything; answers it with the mount. */
    async function mountAs(sshd: Sshd, ...more: readonly string[]): Promise<Mounted> {
      const mountpoint = await remora.mountpoint();
      const args = [`${user.name}@${sshd.host}:${disk}`, mountpoint, '-p', String(sshd.port), ...more];
      const options = `${known(sshd)},IdentityAgent=none,password_stdin`;
      const finished = await remora.run([...args, '-o', options], {
        input: `${user.password}\n`,
        env: { DEBUG: 'remora:*' },
      });
      expect(finished.code, finished.stderr).toBe(0);
      return remora.adopt(mountpoint);
    }

    const logins = (sshd: Sshd) => sshd.log.match(/Accepted \w+ for/g)?.length ?? 0;

    it('logs in a second time with it, and it is in no log', async () => {
      const sshd = await Sshd.start(scope);
      const mount = await mountAs(sshd);
      await until('the second connection', async () => (await connections(mount)) === 2);
      expect(logins(sshd)).toBe(2);
      await works(mount);
      await mount.unmount();
      const log = await readLog(mount);
      expect(log).toMatch(/remora:pool/);
      expect(log).not.toContain(user.password);
      await isForsaken(sshd);
    });

    it('that was typed: nobody is asked again', async () => {
      const sshd = await Sshd.start(scope);
      const mountpoint = await remora.mountpoint();
      const source = `${user.name}@${sshd.host}:${disk}`;
      const args = [source, mountpoint, '-p', String(sshd.port), '-o', `${known(sshd)},IdentityAgent=none`];
      const finished = await runOnTerminal(
        [...remora.program, ...args],
        [{ expect: 'assword:', answer: `${user.password}\n` }],
        { env: remora.environment },
      );
      expect(finished.code, finished.stdout).toBe(0);
      expect(finished.stdout.match(/assword:/g)).toHaveLength(1);
      const mount = await remora.adopt(mountpoint);
      await until('the second connection', async () => (await connections(mount)) === 2);
      await mount.unmount();
    });

    it('as the second of two factors logs in once', async () => {
      const config = ['AuthenticationMethods publickey,password'];
      const sshd = await Sshd.start(scope, { config });
      const mount = await mountAs(sshd, '-i', sshd.keyFile);
      await works(mount);
      expect(await connections(mount)).toBe(1);
      await mount.unmount();
      expect(sshd.log.match(/Partial publickey for/g)).toHaveLength(1);
      expect(logins(sshd)).toBe(1);
    });
  });
});

/** What the serving process of `mount` wrote; empty when there was nothing. */
async function readLog(mount: Mounted): Promise<string> {
  const state = join(mount.remora.home, 'state', 'remora');
  return must('sh', ['-c', 'cat "$1"/*.log 2>/dev/null; :', 'sh', state]);
}
