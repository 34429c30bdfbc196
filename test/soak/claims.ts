/**
 * What must be true of a path, said by the process that worked there and checked by anybody: by itself through
 * the mount, and in the end against the server's disk. Content is a stream that its name determines, so nothing
 * needs to be kept to know every byte of every file.
 */
import { createCipheriv, createHash } from 'node:crypto';

/** Bytes of a file that are known to be of one of some streams, at the same place; `zero` allows a hole as well. */
export interface Part {
  readonly offset: number;
  readonly length: number;
  readonly streams: readonly string[];
  readonly zero: boolean;
}

export type Claim =
  | { readonly is: 'absent'; readonly path: string }
  | { readonly is: 'directory'; readonly path: string }
  | { readonly is: 'link'; readonly path: string; readonly target: string }
  | { readonly is: 'text'; readonly path: string; readonly text: string }
  | {
      readonly is: 'file';
      readonly path: string;
      readonly least: number;
      readonly most: number;
      readonly parts: readonly Part[];
    };

/** That the mount has told of a failure at one of these paths of the worker, at this time (Unix, ms) or later. */
export interface Excuse {
  readonly paths: readonly string[];
  readonly since: number;
}

/** What must be true all the same where there is an excuse. */
export interface Weaker {
  readonly claim: Claim;
  readonly unless: Excuse;
}

/** What a worker says in the end; the strongest of the weaker claims comes first. */
export type Claimed = Claim & { readonly otherwise?: readonly Weaker[] };

/** Something is not as it was claimed to be; `unless` is null where nothing excuses it. */
export interface Deviation {
  readonly what: string;
  readonly unless: Excuse | null;
}

/** What is at a path. */
export type Found =
  | { readonly is: 'absent' | 'directory' | 'other' }
  | { readonly is: 'link'; readonly target: string }
  | { readonly is: 'file'; readonly bytes: Buffer };

const AES_BLOCK = 16;

/** Bytes `offset` to `offset + length` of the endless stream that `name` stands for. */
export function stream(name: string, offset: number, length: number): Buffer {
  const key = createHash('sha256').update(name).digest().subarray(0, AES_BLOCK);
  const counter = Buffer.alloc(AES_BLOCK);
  counter.writeBigUInt64BE(BigInt(Math.floor(offset / AES_BLOCK)), 8);
  const skipped = offset % AES_BLOCK;
  const bytes = createCipheriv('aes-128-ctr', key, counter).update(Buffer.alloc(skipped + length));
  return bytes.subarray(skipped);
}

/** One part that says everything there is to say of a confirmed file. */
export function exactly(path: string, name: string, size: number): Claim {
  return {
    is: 'file',
    path,
    least: size,
    most: size,
    parts: [{ offset: 0, length: size, streams: [name], zero: false }],
  };
}

/** What is wrong with `found`, of which one of `claims` must be true, or else one that is weaker; null for nothing. */
export function deviation(
  claims: readonly Claim[],
  otherwise: readonly Weaker[],
  found: Found,
): Deviation | null {
  const wrong = claims.map((claim) => contradiction(claim, found));
  if (wrong.includes(null)) return null;
  const weaker = otherwise.find(({ claim }) => contradiction(claim, found) === null);
  return { what: wrong.join('; '), unless: weaker?.unless ?? null };
}

/** What is wrong with `found`, or null. */
export function contradiction(claim: Claim, found: Found): string | null {
  switch (claim.is) {
    case 'absent':
    case 'directory':
      return found.is === claim.is ? null : `${claim.path}: ${found.is} instead of ${claim.is}`;
    case 'link':
      if (found.is !== 'link') return `${claim.path}: ${found.is} instead of link`;
      return found.target === claim.target
        ? null
        : `${claim.path}: leads to ${found.target}, not ${claim.target}`;
    case 'text': {
      if (found.is !== 'file') return `${claim.path}: ${found.is} instead of file`;
      const text = found.bytes.toString('latin1');
      return text === claim.text
        ? null
        : `${claim.path}: holds ${quote(text)} instead of ${quote(claim.text)}`;
    }
    case 'file': {
      if (found.is !== 'file') return `${claim.path}: ${found.is} instead of file`;
      const { length } = found.bytes;
      if (length < claim.least || length > claim.most) {
        return `${claim.path}: ${length} bytes instead of ${claim.least} to ${claim.most}`;
      }
      for (const part of claim.parts) {
        const at = firstWrong(part, found.bytes, 0);
        if (at !== null)
          return `${claim.path}: byte ${at} of ${length} is wrong (${part.streams.join(' or ')})`;
      }
      return null;
    }
  }
}

/** The first place of a file that contradicts `part`; `bytes` begin at `offset` of the file. */
export function firstWrong(part: Part, bytes: Buffer, offset: number): number | null {
  const begin = Math.max(part.offset, offset);
  const end = Math.min(part.offset + part.length, offset + bytes.length);
  if (end <= begin) return null;
  const seen = bytes.subarray(begin - offset, end - offset);
  const allowed = part.streams.map((name) => stream(name, begin, end - begin));
  if (allowed.some((each) => each.equals(seen))) return null;
  for (const [at, byte] of seen.entries()) {
    if (allowed.some((each) => each[at] === byte) || (part.zero && byte === 0)) continue;
    return begin + at;
  }
  return null;
}

const quote = (text: string) => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
