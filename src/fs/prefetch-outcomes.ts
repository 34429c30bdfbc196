/** What came of files that were read ahead: how many were opened then says whether it is worth it. */
import { stepsWanted } from '../cache/file-walk.js';

/** Outcomes that are looked back on. */
const MEMORY = 256;

/** Files and the bytes in them. */
export interface Amount {
  readonly files: number;
  readonly bytes: number;
}

export interface PrefetchStatus {
  /** Read before a program opened them; then opened; and not within some time. */
  readonly fetched: Amount;
  readonly used: Amount;
  readonly inVain: Amount;
}

function plus({ files, bytes }: Amount, more: number): Amount {
  return { files: files + 1, bytes: bytes + more };
}

const NONE: Amount = { files: 0, bytes: 0 };

export class PrefetchOutcomes {
  #status: PrefetchStatus = { fetched: NONE, used: NONE, inVain: NONE };
  #lately = { used: 0, inVain: 0 };

  get status(): PrefetchStatus {
    return this.#status;
  }

  /** Steps of a walk that are waited for before files are read ahead of it. */
  get stepsWanted(): number {
    return stepsWanted(this.#lately.used, this.#lately.inVain);
  }

  /** A file of so many bytes is being read. */
  fetched(bytes: number): void {
    this.#status = { ...this.#status, fetched: plus(this.#status.fetched, bytes) };
  }

  used(bytes: number): void {
    this.#came('used', bytes);
  }

  inVain(bytes: number): void {
    this.#came('inVain', bytes);
  }

  /** What is long ago counts less and less. */
  #came(what: 'used' | 'inVain', bytes: number): void {
    this.#status = { ...this.#status, [what]: plus(this.#status[what], bytes) };
    const lately = this.#lately;
    lately[what] += 1;
    if (lately.used + lately.inVain < MEMORY) return;
    this.#lately = { used: Math.floor(lately.used / 2), inVain: Math.floor(lately.inVain / 2) };
  }
}
