/**
 * Characters that a terminal obeys instead of showing: the one place that knows them. The patterns are global,
 * so they are for `replace` and `search`; `test` would begin where its last call ended.
 */

/** Control characters of ASCII, DEL among them. Those of Latin-1 are not: in a byte string they may be part of UTF-8. */
export const ASCII_CONTROL = /(?![\x80-\x9f])\p{Cc}/gu;

/** Every control character, and the marks that change the direction of the text around them. */
export const CONTROL = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
