/** The data types of the SSH protocol that keys are made of (RFC 4251, section 5). */

/** Strings one after the other, each with its length in front; text is ASCII. */
export function wireStrings(...parts: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = typeof part === 'string' ? Buffer.from(part, 'latin1') : part;
      return [uint32(bytes.length), bytes];
    }),
  );
}

/** A number in four bytes. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** The contents of an mpint that holds a positive number: no leading zeros but the one that keeps it positive. */
export function mpint(number: Buffer): Buffer {
  const first = number.findIndex((byte) => byte !== 0);
  if (first < 0) return Buffer.alloc(0);
  const digits = number.subarray(first);
  return (digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), digits]) : digits;
}

/** Reads what others wrote: nothing beyond the end is given, and what is missing is null. */
export class WireReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  bytes(length: number): Buffer | null {
    if (length > this.left) return null;
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  uint32(): number | null {
    return this.bytes(4)?.readUInt32BE() ?? null;
  }

  string(): Buffer | null {
    const length = this.uint32();
    return length === null ? null : this.bytes(length);
  }

  /** So many strings; null when there are not as many. */
  strings(count: number): Buffer[] | null {
    const found: Buffer[] = [];
    while (found.length < count) {
      const next = this.string();
      if (next === null) return null;
      found.push(next);
    }
    return found;
  }
}
