/** Numbers from 0 to below `count` that look random and are the same in every run (a generator of Knuth, MMIX). */
export function* places(count: number): Generator<number> {
  let state = 0x5eedn;
  for (;;) {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    yield Number((state >> 33n) % BigInt(count));
  }
}
