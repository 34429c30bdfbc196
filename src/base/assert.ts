/** For values that an invariant of ours guarantees; a miss is a bug, and says which. */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new Error(`missing ${what}`);
  return value;
}
