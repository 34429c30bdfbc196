/**
 * The names in a directory in one of the orders of walk.ts. Where a name stands is looked up, not looked for: a program
 * that jumps about in a large directory asks for that with each file it opens.
 */
import type { ByteString } from '../base/bytes.js';

export interface OrderedEntry {
  readonly name: ByteString;
  /** Its S_IFMT bits. */
  readonly type: number;
}

export class Ordered {
  readonly all: readonly OrderedEntry[];
  /** Made when it is first wanted. */
  #places: ReadonlyMap<ByteString, number> | null = null;

  constructor(all: readonly OrderedEntry[]) {
    this.all = all;
  }

  /** Where the name stands in `all`; -1 if it does not. */
  placeOf(name: ByteString): number {
    this.#places ??= new Map(this.all.map((entry, at) => [entry.name, at]));
    return this.#places.get(name) ?? -1;
  }
}

export const NOTHING = new Ordered([]);
