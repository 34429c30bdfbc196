/**
 * What a program hands in is looked at before anything is done with it: JavaScript knows no types, and what is wrong
 * would show far from where it was said, or as another wish. Pure rules, whose refusals are a `usage` error.
 */
import { printable } from '../base/printable.js';
import { OptionError } from '../config/errors.js';
import { nearest } from '../config/nearest.js';

/** What a value has to be: for people, and as a test. */
export interface Kind {
  readonly name: string;
  readonly is: (value: unknown) => boolean;
  /** A string that is given instead can be shown: no secret is looked for there. */
  readonly isOpen?: true;
}

const isText = (value: unknown) => typeof value === 'string';

export const FLAG: Kind = { name: 'true or false', is: (value) => typeof value === 'boolean' };
export const NUMBER: Kind = { name: 'a number', is: (value) => typeof value === 'number' };
export const TEXT: Kind = { name: 'a string', is: isText };
export const TEXTS: Kind = {
  name: 'an array of strings',
  is: (value) => Array.isArray(value) && value.every(isText),
};
export const FUNCTION: Kind = { name: 'a function', is: (value) => typeof value === 'function' };
export const RECORD: Kind = {
  name: 'an object',
  is: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
};
export const SIGNAL: Kind = { name: 'an AbortSignal', is: (value) => value instanceof AbortSignal };

/** One of a few words. */
export function oneOf(...words: readonly string[]): Kind {
  return {
    name: words.map((word) => `'${word}'`).join(' or '),
    is: (value) => words.some((w) => w === value),
    isOpen: true,
  };
}

/** A value in a sentence. What a string says may be a secret. */
function nameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return TEXTS.is(value) ? TEXTS.name : 'an array';
  if (typeof value === 'boolean' || Number.isNaN(value)) return String(value);
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** @throws OptionError */
export function mustBe(what: string, kind: Kind, value: unknown): void {
  if (kind.is(value)) return;
  const given = kind.isOpen && typeof value === 'string' ? `'${printable(value)}'` : nameOf(value);
  throw new OptionError(`${what} must be ${kind.name}, not ${given}`);
}

/**
 * A string that says something, and that the system can take for a path.
 * @throws OptionError
 */
export function mustSay(what: string, value: unknown): void {
  mustBe(what, TEXT, value);
  if (value === '') throw new OptionError(`${what} must not be empty`);
  if (String(value).includes('\0')) throw new OptionError(`${what} must not hold a NUL`);
}

/**
 * Settings by their names; one that is undefined is left out.
 * @throws OptionError
 */
export function mustBeSettings(kinds: Readonly<Record<string, Kind>>, settings: unknown): void {
  mustBe('what is set', RECORD, settings);
  for (const [key, value] of Object.entries(settings as object)) {
    const kind = Object.hasOwn(kinds, key) ? kinds[key] : undefined;
    if (kind === undefined) {
      const guess = nearest(key, Object.keys(kinds));
      throw new OptionError(`unknown setting '${key}'${guess === null ? '' : `: did you mean '${guess}'?`}`);
    }
    if (value !== undefined) mustBe(`'${key}'`, kind, value);
  }
}
