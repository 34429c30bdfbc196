/**
 * The beginning of an SSH conversation as it is on the wire: lines of text, the identification (RFC 4253, section
 * 4.2), then the first binary packet with SSH_MSG_KEXINIT (section 7.1). Both sides' are read here, so that what is
 * offered and what is supported are compared without asking any library what it would do.
 */
import { WireReader } from '../../ssh/wire.js';

const SSH_MSG_KEXINIT = 20;
const COOKIE = 16;

/** No server sends a first packet near this; RFC 4253, section 6.1 asks for 35000. */
const MAX_PACKET = 256 * 1024;

export interface Opening {
  /** Lines before the identification. */
  readonly text: readonly string[];
  /** `2.0`, and the software as it names itself; null when there is no identification. */
  readonly protocol: string | null;
  readonly software: string | null;
  readonly kexinit: KexInit | null;
}

/** Both directions' lists are those of the server to client one where they differ. */
export interface KexInit {
  readonly kex: readonly string[];
  readonly hostKey: readonly string[];
  readonly cipher: readonly string[];
  readonly mac: readonly string[];
  readonly compression: readonly string[];
}

/** Reads what has arrived so far; what is not there yet, or malformed, is null. */
export function readOpening(bytes: Buffer): Opening {
  const text: string[] = [];
  let at = 0;
  for (;;) {
    const end = bytes.indexOf(0x0a, at);
    const line = bytes.toString('latin1', at, end < 0 ? bytes.length : end).replace(/\r$/, '');
    if (end < 0) {
      if (line !== '') text.push(line);
      return { text, protocol: null, software: null, kexinit: null };
    }
    at = end + 1;
    const [, protocol, software] = /^SSH-(\d\.\d+)-([^\r]*)$/.exec(line) ?? [];
    if (protocol !== undefined && software !== undefined) {
      return { text, protocol, software, kexinit: readKexInit(bytes.subarray(at)) };
    }
    text.push(line);
  }
}

/** uint32 length, byte of padding length, payload, padding (RFC 4253, section 6), still without encryption. */
export function readKexInit(packet: Buffer): KexInit | null {
  const body = new WireReader(packet).string();
  const padding = body?.[0];
  if (body === null || padding === undefined || body.length > MAX_PACKET) return null;
  const payload = new WireReader(body.subarray(1, Math.max(1, body.length - padding)));
  if (payload.bytes(1)?.[0] !== SSH_MSG_KEXINIT || payload.bytes(COOKIE) === null) return null;
  const lists = payload.strings(8)?.map((each) => each.toString('latin1').split(',').filter(Boolean));
  if (lists === undefined) return null;
  const [kex = [], hostKey = [], , cipher = [], , mac = [], , compression = []] = lists;
  return { kex, hostKey, cipher, mac, compression };
}

/** What a KEXINIT lists that is no algorithm but a sign (RFC 8308; strict key exchange of OpenSSH). */
const isSign = (name: string) => /^(?:ext-info-|kex-strict-)/.test(name);

/** Not safe any more, by what OpenSSH has taken out of its defaults. */
const WEAK = /(?:sha1(?:$|[^-\w])|sha1-96|-md5|group1-|^ssh-dss$|^ssh-rsa$|-cbc$|^arcfour|^none$)/;
const POST_QUANTUM = /^(?:mlkem|sntrup|kyber)/;

export interface Comparison {
  /** The first kind of algorithm of which the two have none in common, with the server's list. */
  readonly missing: {
    readonly kind: string;
    readonly keyword: string;
    readonly offered: readonly string[];
  } | null;
  /** What comes out (RFC 4253, section 7.1: the first of the client's that the server has), for a person. */
  readonly agreed: readonly string[];
  /** Of those, what is weak. */
  readonly weak: readonly string[];
  /** The server could do a key exchange that is safe from quantum computers. */
  readonly postQuantum: boolean;
}

const KINDS = [
  ['kex', 'key exchange', 'KexAlgorithms'],
  ['hostKey', 'host key', 'HostKeyAlgorithms'],
  ['cipher', 'cipher', 'Ciphers'],
  ['mac', 'MAC', 'MACs'],
] as const;

export function compare(ours: KexInit, theirs: KexInit): Comparison {
  let missing: Comparison['missing'] = null;
  const agreed: string[] = [];
  for (const [field, kind, keyword] of KINDS) {
    // An authenticating cipher needs no MAC (PROTOCOL of OpenSSH, section 1.6).
    if (field === 'mac' && /gcm|poly1305/.test(agreed.at(-1) ?? '')) continue;
    const offered = theirs[field].filter((name) => !isSign(name));
    const common = ours[field].find((name) => !isSign(name) && offered.includes(name));
    if (common !== undefined) agreed.push(common);
    else missing ??= { kind, keyword, offered };
  }
  return {
    missing,
    agreed,
    weak: agreed.filter((name) => WEAK.test(name)),
    postQuantum: theirs.kex.some((name) => POST_QUANTUM.test(name)),
  };
}

/** Whether every key exchange that is offered is one that only the ssh program knows. */
export const onlyPostQuantum = (names: readonly string[]): boolean => {
  return names.length > 0 && names.every((name) => POST_QUANTUM.test(name));
};
