/**
 * Names and paths are bytes. Inside the program a name is a *byte string*: a JavaScript string with one
 * char (0–255) per byte (latin1). It compares, hashes and concatenates like any string and never loses a
 * byte; only the terminal decodes it.
 */
import { ASCII_CONTROL } from './control.js';

declare const byteBrand: unique symbol;

/** A string whose every char code is one byte, 0 to 255. */
export type ByteString = string & { readonly [byteBrand]: true };

/** The byte string that holds the bytes of `buffer`. */
export function bytesOf(buffer: Uint8Array): ByteString {
  return Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength).toString('latin1') as ByteString;
}

/** The bytes of a byte string, in a buffer of its own. */
export function toBuffer(bytes: ByteString): Buffer {
  return Buffer.from(bytes, 'latin1');
}

/** Encodes text that a person typed (UTF-8). */
export function encodeText(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1') as ByteString;
}

/** Decodes for a person: UTF-8 where valid, control characters and stray bytes made visible as `\xNN`. */
export function decodeText(bytes: ByteString): string {
  const text = toBuffer(bytes).toString('utf8');
  const readable = text.includes('\uFFFD') ? bytes : text;
  const hex = (char: string) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  const visible = readable.replace(ASCII_CONTROL, hex);
  return readable === text ? visible : visible.replace(/[\x80-\xff]/g, hex);
}

/** A literal known to be ASCII. */
export function ascii(text: string): ByteString {
  return text as ByteString;
}
