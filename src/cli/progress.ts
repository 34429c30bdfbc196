/** One line on a terminal that says how far something has come; nothing at all where there is no terminal. */

/** What is needed of a tty.WriteStream. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export class Progress {
  readonly #out: ProgressOutput;
  #isShown = false;

  constructor(out: ProgressOutput) {
    this.#out = out;
  }

  /** Is there anybody to see it? */
  get isSeen(): boolean {
    return this.#out.isTTY === true;
  }

  /** Replaces the line. */
  show(text: string): void {
    if (!this.isSeen) return;
    this.#isShown = true;
    this.#out.write(`\r\x1b[K${text.slice(0, (this.#out.columns || 80) - 1)}`);
  }

  /** Takes the line away: the cursor stands where it stood before. */
  clear(): void {
    if (this.#isShown) this.#out.write('\r\x1b[K');
    this.#isShown = false;
  }
}
