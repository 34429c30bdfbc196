/**
 * INIT and VERSION (section 4), and how to recognise a server that never gets that far: a login shell that
 * prints text on the channel, which a parser would read as the length of an enormous packet.
 */
import { ascii, type ByteString, decodeText, encodeText, toBuffer } from '../base/bytes.js';
import { SFTP_VERSION, SSH_FXP_INIT, SSH_FXP_VERSION } from './constants.js';
import { ProtocolError } from './errors.js';
import { PacketReader } from './reader.js';
import { PacketWriter } from './writer.js';

export function encodeInit(): Buffer {
  return new PacketWriter(SSH_FXP_INIT).uint32(SFTP_VERSION).finish();
}

/** The version that the client speaks. */
export function decodeInit(packet: Buffer): number {
  const reader = new PacketReader(packet);
  if (reader.uint8() !== SSH_FXP_INIT) throw new ProtocolError('the first packet is not SSH_FXP_INIT');
  return reader.uint32();
}

export function encodeVersion(extensions: ReadonlyMap<string, string>): Buffer {
  const writer = new PacketWriter(SSH_FXP_VERSION).uint32(SFTP_VERSION);
  for (const [name, data] of extensions) writer.string(encodeText(name)).string(encodeText(data));
  return writer.finish();
}

/** The extensions that the server announces, with their revisions. */
export function decodeVersion(packet: Buffer): ReadonlyMap<string, string> {
  const reader = new PacketReader(packet);
  if (reader.uint8() !== SSH_FXP_VERSION) throw new ProtocolError('the first packet is not SSH_FXP_VERSION');
  const version = reader.uint32();
  if (version !== SFTP_VERSION)
    throw new ProtocolError(`the server speaks version ${version} of SFTP, not 3`);
  const extensions = new Map<string, string>();
  while (reader.remaining > 0) extensions.set(reader.string(), reader.string());
  return extensions;
}

const [SPACE, TILDE] = [0x20, 0x7e];
/** Control characters that text at a login has: tab, the ends of lines, and what begins a colour (ESC). */
const OF_TEXT: ReadonlySet<number> = new Set([0x09, 0x0a, 0x0d, 0x1b]);
const LONGEST_QUOTE = 200;

/** What the first bytes of a stream are: packets, text that is still coming in, or text with its first line. */
export type Greeting =
  | { readonly kind: 'packets' }
  | { readonly kind: 'text' }
  | { readonly kind: 'banner'; readonly line: string };

const isBinary = (byte: number): boolean => byte < SPACE && !OF_TEXT.has(byte);

/** Judges the first bytes of a stream; `ended` when no more of them will come. */
export function judgeGreeting(start: ByteString, ended: boolean): Greeting {
  const bytes = toBuffer(start);
  // No length within bounds begins with a byte that text begins with.
  const [first = 0] = bytes;
  if (first > TILDE || isBinary(first)) return { kind: 'packets' };
  const binary = bytes.findIndex(isBinary);
  const text = (binary < 0 ? start : start.slice(0, binary)).replace(/^[\r\n]+/, '');
  const end = text.search(/[\r\n]/);
  if (end < 0 && binary < 0 && text.length < LONGEST_QUOTE && !ended) return { kind: 'text' };
  return {
    kind: 'banner',
    line: decodeText(ascii((end < 0 ? text : text.slice(0, end)).slice(0, LONGEST_QUOTE))),
  };
}
