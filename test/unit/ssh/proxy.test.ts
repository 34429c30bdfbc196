/** Proxies, spoken to byte by byte: answers in pieces, banners in the same segment, refusals, nonsense. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { dial, type TcpCarrier } from '../../../src/ssh/dial.js';
import { ConnectError } from '../../../src/ssh/errors.js';
import { expandCommand } from '../../../src/ssh/proxy/command.js';
import { connectRequest, parseHttpReply, tunnelHttp } from '../../../src/ssh/proxy/http.js';
import {
  parseReply4,
  parseReply5,
  request4,
  request5,
  tunnelSocks4,
  tunnelSocks4a,
  tunnelSocks5,
} from '../../../src/ssh/proxy/socks.js';
import type { Route } from '../../../src/ssh/route.js';
import { DIRECT } from '../../../src/ssh/route.js';
import { failure, PASSWORD, person, SshFixture, settings } from '../../support/ssh-fixture.js';

const NOBODY = { user: null, password: null };
const BOB = { user: 'bob', password: 'pa:ss' };
const never = new AbortController().signal;

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});

/** A server that follows `script`: it waits for each request, and answers it with these pieces, one a packet. */
async function scripted(...script: [request: Buffer | RegExp, ...pieces: Buffer[]][]): Promise<TcpCarrier> {
  const server = createServer({ noDelay: true }, (socket) => {
    ends.push(() => void socket.destroy());
    void play(socket, script);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const carrier = await dial('127.0.0.1', port, settings(port), never);
  ends.push(() => void carrier.stream.destroy());
  return carrier;
}

async function play(socket: Socket, script: [Buffer | RegExp, ...Buffer[]][]): Promise<void> {
  let arrived: Buffer = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (data: Buffer) => {
    arrived = Buffer.concat([arrived, data]);
  });
  for (const [request, ...pieces] of script) {
    await vi.waitUntil(() =>
      request instanceof RegExp ? request.test(arrived.toString('latin1')) : arrived.equals(request),
    );
    arrived = Buffer.alloc(0);
    for (const piece of pieces) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      socket.write(piece);
    }
  }
}

/** What the next reader gets. */
function read({ stream }: TcpCarrier, length: number): Promise<string> {
  let text = '';
  return new Promise((resolve) => {
    stream.on('data', (data: Buffer) => {
      text += data.toString('latin1');
      if (text.length >= length) resolve(text);
    });
    stream.resume();
  });
}

const bytes = (text: string) => Buffer.from(text, 'latin1');
const eachByte = (data: Buffer) => [...data].map((byte) => Buffer.from([byte]));

describe('HTTP CONNECT', () => {
  test('what is asked for: a name, an IPv6 address, with a user', () => {
    expect(connectRequest('box', 22, NOBODY).toString()).toBe(
      'CONNECT box:22 HTTP/1.1\r\nHost: box:22\r\n\r\n',
    );
    expect(connectRequest('::1', 2200, BOB).toString()).toBe(
      'CONNECT [::1]:2200 HTTP/1.1\r\nHost: [::1]:2200\r\nProxy-Authorization: Basic Ym9iOnBhOnNz\r\n\r\n',
    );
  });

  test('replies: whole, of bare line feeds, not whole yet', () => {
    const reply = 'HTTP/1.0 200 Connection established\r\nProxy-agent: x\r\n\r\n';
    expect(parseHttpReply(bytes(`${reply}SSH-2.0-`))).toEqual({
      value: { status: 200, reason: 'Connection established' },
      used: reply.length,
    });
    expect(parseHttpReply(bytes('HTTP/1.1 204\n\nrest'))).toMatchObject({ used: 14 });
    for (const part of ['', 'HT', 'HTTP/1.1 2', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200 OK\r\nA: b\r\n']) {
      expect(parseHttpReply(bytes(part))).toBeNull();
    }
  });

  test.each([
    ['an SSH server', 'SSH-2.0-OpenSSH_9.2\r\n', 'does not speak HTTP'],
    ['a header without end', `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(4000)}`, 'too long'],
    ['a status line without end', `HTTP/1.1 200 ${'x'.repeat(20_000)}`, 'too long'],
  ])('%s is refused', (_what, text, message) => {
    expect(() => parseHttpReply(bytes(text))).toThrow(message);
  });

  const answer = bytes('HTTP/1.1 200 OK\r\nVia: x\r\n\r\nSSH-2.0-test\r\n');

  test.each([
    ['byte by byte', eachByte(answer)],
    ['with the banner in the same segment', [answer]],
  ])('an answer %s loses nothing', async (_how, pieces) => {
    const carrier = await scripted([/\r\n\r\n$/, ...pieces]);
    await tunnelHttp(carrier.stream, 'box', 22, NOBODY, never);
    expect(await read(carrier, 14)).toBe('SSH-2.0-test\r\n');
  });

  test.each([
    ['407 Proxy Authentication Required', NOBODY, 'proxy-login', 'wants a user and a password'],
    ['407 Proxy Authentication Required', BOB, 'proxy-login', 'does not accept this user'],
    ['403 Filtered', NOBODY, 'proxy', 'does not permit this host or port: 403 Filtered'],
    ['503 \x1b[31mred', NOBODY, 'proxy', 'makes no connection: 503'],
  ] as const)('%s', async (status, credentials, kind, message) => {
    const { stream } = await scripted([/\r\n\r\n$/, bytes(`HTTP/1.1 ${status}\r\n\r\n`)]);
    const text = await failure(tunnelHttp(stream, 'box', 22, credentials, never), kind);
    expect(text).toContain(message);
    expect(text).not.toContain('\x1b');
    expect(stream.destroyed).toBe(true);
  });

  test('a proxy that is silent is left when the time is over', async () => {
    const { stream } = await scripted();
    const abort = new AbortController();
    const tunnel = tunnelHttp(stream, 'box', 22, NOBODY, abort.signal);
    abort.abort(new ConnectError('timeout', 'too late'));
    await expect(tunnel).rejects.toThrow('too late');
    expect(stream.destroyed).toBe(true);
  });
});

describe('SOCKS', () => {
  test.each([
    ['box', '05 01 00 03 03 626f78 0016'],
    ['10.1.2.3', '05 01 00 01 0a010203 0016'],
    ['fe80::1%eth0', '05 01 00 04 fe80000000000000 0000000000000001 0016'],
    ['::ffff:1.2.3.4', '05 01 00 04 0000000000000000 0000ffff01020304 0016'],
  ])('version 5 asks for %s', (host, hex) => {
    expect(request5(host, 22).toString('hex')).toBe(hex.replaceAll(' ', ''));
  });

  test('version 4a asks for a name, version 4 for an address', () => {
    expect(request4('box', 22, 'me').toString('hex')).toBe('04010016000000016d6500626f7800');
    expect(request4('10.1.2.3', 22, '').toString('hex')).toBe('040100160a01020300');
    expect(() => request4('::1', 22, '')).toThrow('IPv6');
  });

  test('replies hold an address of any type, or nonsense', () => {
    for (const hex of [
      '05000001 01020304 0016',
      '05000003 0361626300 16',
      `05000004 ${'00'.repeat(16)} 0016`,
    ]) {
      const whole = Buffer.from(hex.replaceAll(' ', ''), 'hex');
      expect(parseReply5(Buffer.concat([whole, bytes('SSH')]))).toEqual({ value: 0, used: whole.length });
      expect(parseReply5(whole.subarray(0, -1))).toBeNull();
    }
    expect(() => parseReply5(bytes('HTTP/'))).toThrow('does not speak SOCKS 5');
    expect(() => parseReply5(Buffer.from('0500000900', 'hex'))).toThrow('does not speak SOCKS 5');
    expect(() => parseReply4(bytes('H'))).toThrow('does not speak SOCKS 4');
  });

  const hex = (text: string) => Buffer.from(text, 'hex');

  test('version 5 with a user, every answer in pieces', async () => {
    const carrier = await scripted(
      [hex('05020002'), hex('05'), hex('02')],
      [hex('0103626f620570613a7373'), hex('01'), hex('00')],
      [request5('box', 22), ...eachByte(hex('05000001010203040016')), bytes('SSH-2.0-test\r\n')],
    );
    await tunnelSocks5(carrier.stream, 'box', 22, BOB, never);
    expect(await read(carrier, 14)).toBe('SSH-2.0-test\r\n');
  });

  test('version 4a with the banner in the same segment', async () => {
    const banner = Buffer.concat([hex('005a000000000000'), bytes('SSH-2.0-test\r\n')]);
    const carrier = await scripted([request4('box', 22, 'bob'), banner]);
    await tunnelSocks4a(carrier.stream, 'box', 22, BOB, never);
    expect(await read(carrier, 14)).toBe('SSH-2.0-test\r\n');
  });

  test('version 4 looks the name up here, and has no other addresses', async () => {
    const answer = hex('005a000000000000');
    const carrier = await scripted([request4('127.0.0.1', 22, 'bob'), answer]);
    await tunnelSocks4(carrier.stream, 'localhost', 22, BOB, never);
    const unused = await scripted();
    const refused = await failure(tunnelSocks4(unused.stream, '::1', 22, BOB, never), 'resolve');
    expect(refused).toContain('socks4a://');
  });

  test('refusals are told apart', async () => {
    const at = async (...script: Parameters<typeof scripted>) => (await scripted(...script)).stream;
    const none = await at([hex('050100'), hex('05ff')]);
    await failure(tunnelSocks5(none, 'box', 22, NOBODY, never), 'proxy-login');
    const wrong = await at([hex('05020002'), hex('0502')], [/./, hex('0101')]);
    await failure(tunnelSocks5(wrong, 'box', 22, BOB, never), 'proxy-login');
    const forbidden = await at([hex('050100'), hex('0500')], [/box/, hex('05020001000000000000')]);
    await failure(tunnelSocks5(forbidden, 'box', 22, NOBODY, never), 'proxy');
    const rejected = await at([/box/, hex('005b000000000000')]);
    await failure(tunnelSocks4a(rejected, 'box', 22, NOBODY, never), 'proxy');
  });
});

describe('a ProxyCommand', () => {
  const box = { host: 'box.lan', originalHost: 'box', port: 2200, user: 'bob' };

  test('has its tokens replaced, and nothing else', () => {
    expect(expandCommand('nc -X 5 "$P" %h %p %r@%n 100%%', box)).toBe(
      'nc -X 5 "$P" box.lan 2200 bob@box 100%',
    );
    expect(expandCommand('nc %h', { ...box, host: 'fe80::1%eth0' })).toBe('nc fe80::1%eth0');
  });

  test.each(['a;b', '$(id)', '`id`', '-oX', "a'b", 'a b', ''])('a host %j goes into no shell', (host) => {
    expect(() => expandCommand('nc %h', { ...box, host })).toThrow('a shell would misread');
    expect(() => expandCommand('nc %n', { ...box, originalHost: host })).toThrow('a shell would misread');
    expect(expandCommand('nc there', { ...box, host })).toBe('nc there');
  });

  test('other tokens and users that a shell would misread are refused', () => {
    expect(() => expandCommand('nc %x', box)).toThrow("unknown token '%x'");
    expect(() => expandCommand('nc %r', { ...box, user: 'a|b' })).toThrow('a shell would misread');
  });
});

describe('a connection', () => {
  const ssh = new SshFixture();
  const through = (port: number, route: Route) => settings(port, { password: PASSWORD, route });
  const command = (text: string): Route => ({ hops: [], proxy: { kind: 'command', command: text } });
  const surroundings = { PATH: process.env.PATH ?? '' };

  test('through a command: echoes more than fits its pipe, and ends it', async () => {
    const server = await ssh.serve();
    ssh.trust(server.port);
    const connection = await ssh.reach(through(server.port, command('nc %h %p')), person(), surroundings);
    const stream = await connection.openSftp();
    const sent = Buffer.alloc(3 << 20, 'abc');
    const echoed: Buffer[] = [];
    let length = 0;
    stream.on('data', (data: Buffer) => {
      echoed.push(Buffer.from(data));
      length += data.length;
    });
    stream.write(sent);
    await vi.waitUntil(() => length === sent.length, { timeout: 10_000 });
    expect(Buffer.concat(echoed).equals(sent)).toBe(true);
    await connection.close();
    await vi.waitUntil(() => server.clients === 0);
  });

  test('through a command, when it is not wanted any more', async () => {
    const server = await ssh.serve();
    ssh.trust(server.port);
    const connection = await ssh.reach(through(server.port, command('nc %h %p')), person(), surroundings);
    const again = connection.again?.(AbortSignal.abort(new Error('enough')));
    await expect(again).rejects.toThrow('enough');
    await vi.waitUntil(() => server.clients === 1);
  });

  test('through a command that ends at once: with what it says', async () => {
    const attempt = ssh.reach(
      through(22, command(`sh -c 'echo "no route" >&2; exit 7'`)),
      person(),
      surroundings,
    );
    const text = await failure(attempt, 'proxy');
    expect(text).toBe('the ProxyCommand for 127.0.0.1 ended with exit code 7: no route');
  });

  test('through a shell that is not there', async () => {
    const attempt = ssh.reach(through(22, command('true')), person(), { SHELL: '/nowhere' });
    expect(await failure(attempt, 'proxy')).toMatch(/does not start: .*ENOENT/);
  });

  test('through a command that is silent: ends in time', async () => {
    const late = { ...through(22, command('sleep 60')), connectTimeout: 1 };
    await failure(ssh.reach(late, person(), surroundings), 'timeout');
  });

  test('from an address and of a family of one’s own', async () => {
    const server = await ssh.serve();
    ssh.trust(server.port);
    const own = { ...through(server.port, DIRECT), bindInterface: 'lo', addressFamily: 'inet' } as const;
    await ssh.reach(own);
    await failure(ssh.reach({ ...own, bindInterface: 'nowhere0' }), 'unreachable');
  });
});
