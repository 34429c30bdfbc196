/**
 * A tunnel through an HTTP proxy: CONNECT (RFC 9110 §9.3.6), with Basic authentication (RFC 7617) where there is a
 * user. Any 2xx is success, and what follows the empty line is the tunnel's.
 */
import type { Socket } from 'node:net';
import { printable } from '../../base/printable.js';
import { ConnectError } from '../errors.js';
import { ask, type Parsed } from './negotiation.js';

/** Longest header of a reply, in bytes. */
const MAX_HEADER = 16 * 1024;

export interface HttpReply {
  /** Three digits. */
  readonly status: number;
  readonly reason: string;
}

export interface Credentials {
  readonly user: string | null;
  readonly password: string | null;
}

export function connectRequest(host: string, port: number, { user, password }: Credentials): Buffer {
  const target = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const lines = [`CONNECT ${target} HTTP/1.1`, `Host: ${target}`];
  if (user !== null) {
    const basic = Buffer.from(`${user}:${password ?? ''}`).toString('base64');
    lines.push(`Proxy-Authorization: Basic ${basic}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** Null while the header is not whole. Lines may end in a bare LF, as those of some proxies do. */
export function parseHttpReply(data: Buffer): Parsed<HttpReply> | null {
  const text = data.subarray(0, MAX_HEADER).toString('latin1');
  const status = /^HTTP\/\d(?:\.\d)? (\d{3})(?: ([^\r\n]*))?\r?\n/.exec(text);
  if (status === null && (text.includes('\n') || !'HTTP/'.startsWith(text.slice(0, 5)))) {
    throw new ConnectError('proxy', 'it does not speak HTTP');
  }
  const end = /\n\r?\n/.exec(text);
  if (status === null || end === null) {
    if (data.length >= MAX_HEADER) throw new ConnectError('proxy', 'its reply is too long');
    return null;
  }
  const value = { status: Number(status[1]), reason: status[2] ?? '' };
  return { value, used: end.index + end[0].length };
}

/** Makes `socket`, which is connected to a proxy, a tunnel. Rejects with a `ConnectError` or as `ask` does. */
export async function tunnelHttp(
  socket: Socket,
  host: string,
  port: number,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<void> {
  const { status, reason } = await ask(
    socket,
    connectRequest(host, port, credentials),
    parseHttpReply,
    signal,
  );
  if (status >= 200 && status <= 299) return;
  socket.destroy();
  const said = `${status} ${printable(reason)}`.trim();
  // 401 is not a proxy's to say, and tinyproxy says it.
  if (status === 407 || status === 401) {
    const why =
      credentials.user === null
        ? 'it wants a user and a password (http_proxy=USER:PASSWORD@HOST:PORT, or http_proxy_auth=FILE)'
        : 'it does not accept this user and password';
    throw new ConnectError('proxy-login', `${why}: ${said}`);
  }
  const isForbidden = status === 403 || status === 405;
  const what = isForbidden ? 'it does not permit this host or port' : 'it makes no connection';
  throw new ConnectError('proxy', `${what}: ${said}`);
}
