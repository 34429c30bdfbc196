/** Words of a command that a person may paste into a shell. */

/** A word as a POSIX shell takes it; a `~/` at its beginning is the home directory, in quotes or not. */
export function quoted(word: string): string {
  if (word.startsWith('~/') && word.length > 2) return `~/${quoted(word.slice(2))}`;
  return /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
