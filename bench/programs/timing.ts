/** What the helper programs share: the clock, and the one line of JSON numbers that they answer with. */

/** Seconds that `action` takes. */
export function secondsOf(action: () => void): number {
  const begin = process.hrtime.bigint();
  action();
  return Number(process.hrtime.bigint() - begin) / 1e9;
}

export function answer(...numbers: readonly number[]): void {
  process.stdout.write(`${JSON.stringify(numbers)}\n`);
}
