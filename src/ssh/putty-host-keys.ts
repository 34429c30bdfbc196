/**
 * Host keys as PuTTY keeps them, one a line: `TYPE@PORT:HOST NUMBERS`, the numbers of the public key in
 * hexadecimal. What of them is a key on the wire is put together here.
 */
import { mpint, wireStrings } from './wire.js';

export interface PuttyHostKey {
  readonly host: string;
  readonly port: number;
  readonly keyType: string;
  /** As on the wire. */
  readonly key: Buffer;
}

/** The fields of one line; null for any other line, and for a key that is malformed or of another type. */
export function readPuttyHostKey(fields: readonly string[]): PuttyHostKey | null {
  const [name = '', numbers = '', more] = fields;
  const match = /^([a-z0-9-]+)@(\d{1,5}):([^*?!,|]+)$/.exec(name);
  if (match === null || more !== undefined) return null;
  const [, type = '', port = '', host = ''] = match;
  const key = keyOf(type, numbers.split(','));
  return key === null ? null : { host, port: Number(port), ...key };
}

function keyOf(type: string, fields: string[]): { keyType: string; key: Buffer } | null {
  if (type === 'rsa2') {
    const [exponent, modulus] = numbersOf(fields, 2);
    if (exponent === undefined || modulus === undefined) return null;
    return { keyType: 'ssh-rsa', key: wireStrings('ssh-rsa', mpint(exponent), mpint(modulus)) };
  }
  if (type === 'ssh-ed25519') {
    const [x, y] = numbersOf(fields, 2);
    if (x === undefined || y === undefined) return null;
    const point = fixed(y, 32)?.reverse();
    if (point === undefined) return null;
    // RFC 8032, section 5.1.2: y, least byte first, with the lowest bit of x at its top.
    point[31] = (point[31] ?? 0) | ((x.at(-1) ?? 0) & 1 ? 0x80 : 0);
    return { keyType: type, key: wireStrings(type, point) };
  }
  const bits = /^ecdsa-sha2-nistp(256|384|521)$/.exec(type)?.[1];
  const curve = `nistp${bits}`;
  if (bits === undefined || fields[0] !== curve) return null;
  const [x, y] = numbersOf(fields.slice(1), 2).map((number) => fixed(number, Math.ceil(Number(bits) / 8)));
  if (x === undefined || y === undefined) return null;
  // SEC 1, section 2.3.3: an uncompressed point.
  return { keyType: type, key: wireStrings(type, curve, Buffer.concat([Buffer.of(4), x, y])) };
}

/** Exactly `count` numbers, or none. */
function numbersOf(fields: readonly string[], count: number): Buffer[] {
  const isNumber = (field: string) => /^0x[0-9a-f]{1,8192}$/i.test(field);
  if (fields.length !== count || !fields.every(isNumber)) return [];
  return fields.map((field) => {
    const digits = field.slice(2);
    return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
  });
}

/** A number in so many bytes; undefined when it is larger. */
function fixed(number: Buffer, size: number): Buffer | undefined {
  const first = number.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? number.subarray(0, 0) : number.subarray(first);
  return digits.length > size ? undefined : Buffer.concat([Buffer.alloc(size - digits.length), digits]);
}
