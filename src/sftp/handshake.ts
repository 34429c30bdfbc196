/**
 * INIT and VERSION (section 4), and how to recognise a server that never gets that far: a login shell that
 * prints text on the channel, which a parser would read as the length of an enormous packet.
 */
import { ascii, type ByteString, decodeText, encodeText } from '../base/bytes.js';
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

/** Bytes that begin text; no length within bounds begins with one of them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: terminal escapes count as text
const TEXT_START = /^[\t\n\r\x1b\x20-\x7e]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const BINARY = /[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]/;
const LONGEST_QUOTE = 200;

/** What the first bytes of a stream are: packets, text that is still coming in, or text with its first line. */
export type Greeting =
  | { readonly kind: 'packets' }
  | { readonly kind: 'text' }
  | { readonly kind: 'banner'; readonly line: string };

/** Judges the first bytes of a stream; `ended` when no more of them will come. */
export function judgeGreeting(start: ByteString, ended: boolean): Greeting {
  if (!TEXT_START.test(start)) return { kind: 'packets' };
  const binary = start.search(BINARY);
  const text = (binary < 0 ? start : start.slice(0, binary)).replace(/^[\r\n]+/, '');
  const end = text.search(/[\r\n]/);
  if (end < 0 && binary < 0 && text.length < LONGEST_QUOTE && !ended) return { kind: 'text' };
  return {
    kind: 'banner',
    line: decodeText(ascii((end < 0 ? text : text.slice(0, end)).slice(0, LONGEST_QUOTE))),
  };
}
