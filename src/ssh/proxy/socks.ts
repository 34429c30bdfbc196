/**
 * A tunnel through a SOCKS proxy: version 5 (RFC 1928) with user and password (RFC 1929) where there is a user, or
 * version 4 or 4a. Names are resolved by the proxy, which may know more of them; version 4 knows addresses alone.
 */
import { lookup } from 'node:dns/promises';
import { isIPv4, isIPv6, type Socket } from 'node:net';
import { ConnectError } from '../errors.js';
import type { Credentials } from './http.js';
import { ask, type Parsed } from './negotiation.js';

const NO_AUTHENTICATION = 0;
const USER_AND_PASSWORD = 2;
const NO_ACCEPTABLE_METHOD = 0xff;
const CONNECT = 1;

/** ATYP (RFC 1928 §4) */
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;

/** REP (RFC 1928 §6) */
const REPLIES: Readonly<Record<number, string>> = {
  1: 'it failed',
  2: 'it does not permit the connection',
  3: 'the network is unreachable',
  4: 'it cannot reach the host',
  5: 'the host refuses the connection',
  6: 'the host does not answer',
  7: 'it does not know CONNECT',
  8: 'it does not know this type of address',
};

/** Version and choice: the answer to the greeting, or to the user and password. */
export function parsePair(data: Buffer): Parsed<readonly [number, number]> | null {
  const [version, choice] = data;
  if (version === undefined || choice === undefined) return null;
  return { value: [version, choice], used: 2 };
}

/** REP; the address that is bound at the proxy is of no use. */
export function parseReply5(data: Buffer): Parsed<number> | null {
  if (data.length < 5) return null;
  const [version, reply = 1, , type] = data;
  if (version !== 5) throw notSocks(5);
  if (reply !== 0) return { value: reply, used: data.length };
  const lengths: Readonly<Record<number, number>> = { [IPV4]: 4, [IPV6]: 16, [NAME]: 1 + data.readUInt8(4) };
  const length = lengths[type ?? 0];
  if (length === undefined) throw notSocks(5);
  const used = 4 + length + 2;
  return data.length < used ? null : { value: reply, used };
}

/** CD of version 4: 90 is success. */
export function parseReply4(data: Buffer): Parsed<number> | null {
  if (data.length > 0 && data[0] !== 0) throw notSocks(4);
  return data.length < 8 ? null : { value: data.readUInt8(1), used: 8 };
}

function notSocks(version: number): ConnectError {
  return new ConnectError('proxy', `it does not speak SOCKS ${version}`);
}

export function request5(host: string, port: number): Buffer {
  const tail = Buffer.alloc(2);
  tail.writeUInt16BE(port);
  const head = (type: number) => Buffer.from([5, CONNECT, 0, type]);
  if (isIPv4(host)) return Buffer.concat([head(IPV4), Buffer.from(host.split('.').map(Number)), tail]);
  if (isIPv6(host)) return Buffer.concat([head(IPV6), ipv6Bytes(host), tail]);
  return Buffer.concat([head(NAME), counted(host, 'host name'), tail]);
}

export function request4(host: string, port: number, user: string): Buffer {
  if (isIPv6(host)) throw new ConnectError('proxy', 'SOCKS 4 cannot reach IPv6 addresses');
  const head = Buffer.from([4, CONNECT, port >> 8, port & 0xff]);
  const name = Buffer.from(`${user}\0`);
  if (isIPv4(host)) return Buffer.concat([head, Buffer.from(host.split('.').map(Number)), name]);
  return Buffer.concat([head, Buffer.from([0, 0, 0, 1]), name, Buffer.from(`${host}\0`)]);
}

function counted(text: string, what: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length > 255) throw new ConnectError('proxy', `the ${what} is too long for SOCKS`);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

/** An address that `isIPv6` takes; a zone means nothing to another machine. */
function ipv6Bytes(address: string): Buffer {
  const plain = address.replace(/%.*/, '').replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(0, 4).map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [left = '', right = ''] = plain.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const missing = 8 - groups(left).length - groups(right).length;
  const all = [...groups(left), ...new Array<string>(missing).fill('0'), ...groups(right)];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** Makes `socket`, which is connected to a proxy, a tunnel. Rejects with a `ConnectError` or as `ask` does. */
export async function tunnelSocks5(
  socket: Socket,
  host: string,
  port: number,
  { user, password }: Credentials,
  signal: AbortSignal,
): Promise<void> {
  const methods = user === null ? [NO_AUTHENTICATION] : [NO_AUTHENTICATION, USER_AND_PASSWORD];
  const greeting = Buffer.from([5, methods.length, ...methods]);
  const [version, method] = await ask(socket, greeting, parsePair, signal);
  if (version !== 5) throw notSocks(5);
  if (method === NO_ACCEPTABLE_METHOD || !methods.includes(method)) {
    throw new ConnectError('proxy-login', 'it wants another way to log in (USER:PASSWORD@HOST:PORT)');
  }
  if (method === USER_AND_PASSWORD) {
    const login = [Buffer.from([1]), counted(user ?? '', 'user'), counted(password ?? '', 'password')];
    const [, status] = await ask(socket, Buffer.concat(login), parsePair, signal);
    if (status !== 0) throw new ConnectError('proxy-login', 'it does not accept this user and password');
  }
  const reply = await ask(socket, request5(host, port), parseReply5, signal);
  if (reply === 0) return;
  throw new ConnectError('proxy', REPLIES[reply] ?? `it answers ${reply}`);
}

/** As above, with version 4. The name must have an IPv4 address. */
export async function tunnelSocks4(
  socket: Socket,
  host: string,
  port: number,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<void> {
  const found = isIPv6(host) ? null : await lookup(host, { family: 4 }).catch(() => null);
  if (found === null) {
    socket.destroy();
    throw new ConnectError(
      'resolve',
      'SOCKS 4 takes an IPv4 address, and the host has none (try socks4a://)',
    );
  }
  await tunnelSocks4a(socket, found.address, port, credentials, signal);
}

/** As above, with version 4a. */
export async function tunnelSocks4a(
  socket: Socket,
  host: string,
  port: number,
  { user }: Credentials,
  signal: AbortSignal,
): Promise<void> {
  const reply = await ask(socket, request4(host, port, user ?? ''), parseReply4, signal);
  if (reply === 90) return;
  if (reply === 91) throw new ConnectError('proxy', 'it permits no connection, or cannot make it');
  throw new ConnectError('proxy-login', 'it does not accept the user');
}
