import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, expect, test, vi } from 'vitest';
import type { Connection } from '../../../src/ssh/connection.js';
import { fingerprint } from '../../../src/ssh/known-hosts.js';
import type { Prompter } from '../../../src/ssh/settings.js';
import { failure, hostKey, PASSWORD, person, SshFixture, settings } from '../../support/ssh-fixture.js';
import { startSshServer } from '../../support/ssh-test-server.js';

const ssh = new SshFixture();

function ended(connection: Connection): Promise<Error | null> {
  return new Promise((resolve) => connection.onClose(resolve));
}

describe('a command', () => {
  test('is run as it is, beside the SFTP channel', async () => {
    const server = await ssh.serve();
    const connection = await ssh.login(server, { password: PASSWORD });
    await connection.openSftp();
    const stream = await connection.openCommand("exec /bin/sh -c 'echo'", false);
    expect(await echo(stream, Buffer.from('hi'))).toEqual(Buffer.from('hi'));
    expect(server.commands).toEqual(["exec /bin/sh -c 'echo'"]);
  });

  test('that the server does not run says so', async () => {
    const connection = await ssh.login(await ssh.serve({ subsystem: 'refuse' }), { password: PASSWORD });
    expect(await failure(connection.openCommand('true', true), 'subsystem')).toContain('runs no commands');
  });

  test('has no room on a connection that is one channel', async () => {
    const { port } = await ssh.serve();
    const connection = await ssh.reach(settings(port, { directPort: port }));
    expect(await failure(connection.openCommand('true', true), 'subsystem')).toContain('carries one channel');
  });
});

function closed(stream: Duplex): Promise<void> {
  return new Promise((resolve) => stream.once('close', resolve));
}

/** Reads `length` bytes. */
function receive(stream: Duplex, length: number): Promise<Buffer> {
  const received: Buffer[] = [];
  let missing = length;
  return new Promise((resolve) => {
    const take = (data: Buffer) => {
      // The memory is used again.
      received.push(Buffer.from(data));
      missing -= data.length;
      if (missing > 0) return;
      stream.removeListener('data', take);
      resolve(Buffer.concat(received));
    };
    stream.on('data', take);
  });
}

function echo(stream: Duplex, bytes: Buffer): Promise<Buffer> {
  stream.write(bytes);
  return receive(stream, bytes.length);
}

describe('the SFTP channel', () => {
  test('with the password of standard input, and bytes flow both ways', async () => {
    const server = await ssh.serve();
    const connection = await ssh.login(server, { password: PASSWORD });
    expect(connection.serverSoftware).toMatch(/^ssh2js/);
    expect(connection.hostKey).toBe(fingerprint(hostKey.blob));
    const stream = await connection.openSftp();
    const bytes = Buffer.alloc(5 << 20, 'remora');
    expect((await echo(stream, bytes)).equals(bytes)).toBe(true);
  });

  test('compressed', async () => {
    const server = await ssh.serve();
    const connection = await ssh.login(server, { password: PASSWORD, compression: true });
    const bytes = Buffer.alloc(100_000, 'z');
    expect((await echo(await connection.openSftp(), bytes)).equals(bytes)).toBe(true);
  });

  test('a refused subsystem', async () => {
    const server = await ssh.serve({ subsystem: 'refuse' });
    const connection = await ssh.login(server, { password: PASSWORD });
    const message = await failure(connection.openSftp(), 'subsystem');
    expect(message).toContain("has no SFTP subsystem 'sftp'");
    expect(message).toContain('-o sftp_server=');
  });

  test('a command', async () => {
    const server = await ssh.serve();
    const connection = await ssh.login(server, {
      password: PASSWORD,
      sftpServer: 'sudo /usr/lib/sftp-server',
    });
    expect(await echo(await connection.openSftp(), Buffer.from('hi'))).toEqual(Buffer.from('hi'));
    expect(server.commands).toEqual(['sudo /usr/lib/sftp-server']);
  });

  test('a server that does not answer the request', async () => {
    const server = await ssh.serve({ subsystem: 'silent' });
    const connection = await ssh.login(server, { password: PASSWORD, connectTimeout: 1 });
    await failure(connection.openSftp(), 'timeout');
  });

  test('a program that is missing: the channel ends, its complaint is kept', async () => {
    const server = await ssh.serve({ subsystem: 'complain' });
    const connection = await ssh.login(server, { password: PASSWORD });
    const stream = await connection.openSftp();
    stream.resume();
    await closed(stream);
    expect(connection.complaints).toBe('sh: 1: /usr/libexec/sftp-server: not found');
  });

  test('corked writes arrive whole and in order', async () => {
    const server = await ssh.serve();
    const stream = await (await ssh.login(server, { password: PASSWORD })).openSftp();
    const parts = Array.from({ length: 300 }, (_, i) => Buffer.alloc(i * 7, i));
    const whole = Buffer.concat(parts);
    stream.cork();
    for (const part of parts) stream.write(part);
    stream.uncork();
    expect((await receive(stream, whole.length)).equals(whole)).toBe(true);
  });

  test('new keys in the middle of transfers lose no byte', async () => {
    const server = await ssh.serve();
    const stream = await (await ssh.login(server, { password: PASSWORD })).openSftp();
    const bytes = Buffer.from(Uint32Array.from({ length: 1 << 20 }, (_, i) => i * 2654435761).buffer);
    for (let round = 0; round < 3; round++) {
      const echoed = echo(stream, bytes);
      server.rekey();
      expect((await echoed).equals(bytes)).toBe(true);
    }
  });

  test('destroying it leaves the connection usable', async () => {
    const server = await ssh.serve();
    const connection = await ssh.login(server, { password: PASSWORD });
    const first = await connection.openSftp();
    first.destroy();
    await closed(first);
    expect(await echo(await connection.openSftp(), Buffer.from('again'))).toEqual(Buffer.from('again'));
  });
});

describe('the end', () => {
  test('close: no reason, and the channels end', async () => {
    const server = await ssh.serve();
    const connection = await ssh.login(server, { password: PASSWORD });
    const stream = await connection.openSftp();
    const reason = ended(connection);
    await connection.close();
    expect(await reason).toBeNull();
    expect(stream.destroyed).toBe(true);
    await failure(connection.openSftp(), 'lost');
    await connection.close();
  });

  test('close does not wait for a server that is frozen', async () => {
    const server = await ssh.serve();
    const connection = await ssh.login(server, { password: PASSWORD });
    server.freeze();
    const started = performance.now();
    await connection.close();
    expect(performance.now() - started).toBeLessThan(3000);
  });

  test('a cut connection: told once, every pending write fails, nothing is thrown', async () => {
    const server = await ssh.serve();
    const connection = await ssh.login(server, { password: PASSWORD });
    const stream = await connection.openSftp();
    const reason = ended(connection);
    const written = new Promise((resolve) => {
      stream.write(Buffer.alloc(16 << 20), (error) => resolve(error));
    });
    server.cut();
    expect(await reason).toMatchObject({ kind: 'lost' });
    expect(await written).toBeInstanceOf(Error);
    stream.write('late', () => {});
    stream.end();
    stream.destroy();
    await failure(connection.openSftp(), 'lost');
    expect(await ended(connection)).toMatchObject({ kind: 'lost' });
  });

  test('a frozen server is noticed by keepalives', async () => {
    const server = await ssh.serve();
    const connection = await ssh.login(server, {
      password: PASSWORD,
      serverAliveInterval: 0.05,
      serverAliveCountMax: 2,
    });
    const stream = await connection.openSftp();
    stream.on('error', () => {});
    server.freeze();
    expect(await ended(connection)).toMatchObject({
      kind: 'lost',
      message: expect.stringContaining('stopped answering'),
    });
    await vi.waitFor(() => expect(stream.destroyed).toBe(true));
  });
});

describe('no SSH server at the other end', () => {
  async function tcp(onSocket: (socket: Socket) => void): Promise<number> {
    const sockets = new Set<Socket>();
    const server: Server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      onSocket(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ssh.onEnd(() => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    });
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  test('refused', async () => {
    const server = await startSshServer({ hostKeys: [hostKey.private] });
    await server.close();
    const message = await failure(ssh.reach(settings(server.port)), 'refused');
    expect(message).toBe(
      `127.0.0.1 port ${server.port} refuses the connection: is an SSH server running there?`,
    );
  });

  test('a name that does not exist', async () => {
    await failure(ssh.reach(settings(22, { host: 'no-such-host.invalid', connectTimeout: 20 })), 'resolve');
  });

  test('silence', async () => {
    const port = await tcp(() => {});
    expect(await failure(ssh.reach(settings(port, { connectTimeout: 0.2 })), 'timeout')).toContain(
      'within 0.2 s',
    );
  });

  test('hanging up at once', async () => {
    const port = await tcp((socket) => socket.end());
    expect(await failure(ssh.reach(settings(port)), 'protocol')).toContain(
      'closed the connection before the SSH handshake',
    );
  });

  test('attack: an endless greeting', async () => {
    const port = await tcp((socket) => {
      const flood = () => {
        while (!socket.destroyed && socket.write('x'.repeat(1000)));
      };
      socket.on('drain', flood);
      flood();
    });
    await failure(ssh.reach(settings(port, { connectTimeout: 3 })), 'protocol');
  });

  test('attack: garbage after the identification', async () => {
    const port = await tcp((socket) => socket.write(`SSH-2.0-evil\r\n${'\xff'.repeat(64)}`));
    await failure(ssh.reach(settings(port, { connectTimeout: 3 })), 'protocol');
  });

  test('time spent at a prompt is not counted', async () => {
    const server = await ssh.serve();
    ssh.trust(server.port);
    const slow: Prompter = {
      ...person(PASSWORD),
      secret: () => new Promise((resolve) => setTimeout(() => resolve(PASSWORD), 900)),
    };
    await ssh.reach(settings(server.port, { connectTimeout: 0.7 }), slow);
  });
});
