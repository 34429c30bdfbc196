/**
 * All that is used of ssh2 beyond what it publishes, seen in ssh2 1.17. Each access looks first whether things
 * still are as they were. Where they only save work, a changed ssh2 is used without them (null); what the rest
 * cannot do without is checked when a connection or a channel begins, and fails with one sentence.
 */
import type { Client, ClientChannel } from 'ssh2';

class Ssh2Error extends Error {
  constructor(part: string) {
    super(`the installed ssh2 library is not one that Remora knows (${part} differs): install ssh2 1.17`);
    this.name = 'Ssh2Error';
  }
}

/** What ssh2 keeps of a connection; there once `connect` was called. */
interface Protocol {
  ping(): void;
  channelWindowAdjust(channel: number, bytes: number): void;
}

function protocolOf(client: Client): Protocol {
  const protocol = property(client, '_protocol');
  if (!hasMethod(protocol, 'ping') || !hasMethod(protocol, 'channelWindowAdjust')) {
    throw new Ssh2Error('its protocol');
  }
  return protocol as unknown as Protocol;
}

/** What waits for the answers to global requests, in the order of the requests (RFC 4254, section 4). */
function waitingOf(client: Client): unknown[] {
  const waiting = property(client, '_callbacks');
  if (!Array.isArray(waiting)) throw new Ssh2Error('its list of requests');
  return waiting;
}

/** @throws Error when a connection of this ssh2 cannot be used; for a client that was told to connect. */
export function checkClient(client: Client): void {
  protocolOf(client);
  waitingOf(client);
}

/** The server as it names itself: `OpenSSH_9.2p1 Debian-2`; empty before it did. */
export function serverSoftwareOf(client: Client): string {
  const software = property(client, '_remoteVer');
  return typeof software === 'string' ? software : '';
}

/**
 * Sends keepalive@openssh.com, which every server answers, if only with a refusal. While keys are exchanged ssh2
 * keeps it back. Throws when the connection has ended.
 */
export function askForAnswer(client: Client): void {
  waitingOf(client).push(() => {});
  protocolOf(client).ping();
}

/** How far ssh2 is with what it was given to read. */
export interface Reading {
  /** An exchange of keys is under way, at which it keeps what it was given. */
  readonly exchangesKeys: boolean;
  /** It has taken a part of a packet's length field. */
  readonly insidePacket: boolean;
}

export function readingOf(client: Client): Reading | null {
  const protocol = property(client, '_protocol');
  if (!(protocol instanceof Object && '_kexinit' in protocol)) return null;
  const lengthBytes = property(property(protocol, '_decipher'), '_lenBytes');
  if (typeof lengthBytes !== 'number') return null;
  return { exchangesKeys: protocol._kexinit !== undefined, insidePacket: lengthBytes > 0 };
}

/** Of a cipher, the part that makes room for a packet: header and padding are in place in it. */
export interface Cipher {
  allocPacket(payload: number): Buffer;
}

/** The cipher that `client` encrypts with. */
export function cipherOf(client: Client): Cipher | null {
  const cipher = property(property(client, '_protocol'), '_cipher');
  return hasMethod(cipher, 'allocPacket') ? (cipher as unknown as Cipher) : null;
}

/** Of a channel of ssh2: what the server may still send, and whether ssh2 still sends. */
interface ChannelParts {
  readonly incoming: { window: number };
  readonly outgoing: { readonly id: number; state: string };
  readonly _client: Client;
}

export class ChannelInternals {
  readonly #parts: ChannelParts;
  readonly #protocol: Protocol;

  /** @throws Error when a channel of this ssh2 cannot be used. */
  constructor(channel: ClientChannel) {
    const incoming = property(channel, 'incoming');
    const outgoing = property(channel, 'outgoing');
    const isKnown =
      typeof property(incoming, 'window') === 'number' &&
      typeof property(outgoing, 'id') === 'number' &&
      typeof property(outgoing, 'state') === 'string';
    if (!isKnown) throw new Ssh2Error('its channel');
    this.#parts = channel as unknown as ChannelParts;
    this.#protocol = protocolOf(this.#parts._client);
  }

  /** Bytes that the server may still send (RFC 4254, section 5.2); null once the channel is closing. */
  get receiveWindow(): number | null {
    const { incoming, outgoing } = this.#parts;
    return outgoing.state === 'open' ? incoming.window : null;
  }

  /** Lets the server send so many bytes more. */
  widen(bytes: number): void {
    this.#parts.incoming.window += bytes;
    this.#protocol.channelWindowAdjust(this.#parts.outgoing.id, bytes);
  }

  /** The connection ended: keeps ssh2 from writing to a protocol that throws on every use by now. */
  mute(): void {
    this.#parts.outgoing.state = 'closed';
  }
}

function property(value: unknown, name: string): unknown {
  return value instanceof Object ? Reflect.get(value, name) : undefined;
}

function hasMethod(value: unknown, name: string): boolean {
  return typeof property(value, name) === 'function';
}
