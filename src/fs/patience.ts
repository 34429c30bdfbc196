/**
 * How long is something waited for that could as well be asked for elsewhere? Some times as long as it took of late:
 * what takes longer may hang, as one of several connections can while the others are well.
 */

/** Milliseconds at least. */
const LEAST = 200;
/** So many times as long as it took of late. */
const SLOWER = 3;
/** Of that time the last one is this part. */
const NEWS = 1 / 8;

export class Patience {
  #usual: number | null = null;

  /** What was waited for came after so many milliseconds. */
  took(milliseconds: number): void {
    const before = this.#usual ?? milliseconds;
    this.#usual = before + (milliseconds - before) * NEWS;
  }

  /** Milliseconds after which it is late. */
  get limit(): number {
    return Math.max(LEAST, SLOWER * (this.#usual ?? 0));
  }

  /** Resolves when `done` does, which never rejects, or when it is late. `since`: for how many milliseconds it is awaited. */
  wait(done: Promise<void>, since: number): Promise<void> {
    return new Promise((resolve) => {
      // Where this process was held up, the answer may be here already: it goes first.
      const late = setTimeout(() => setImmediate(resolve), Math.max(0, this.limit - since));
      void done.then(() => {
        clearTimeout(late);
        resolve();
      });
    });
  }
}
