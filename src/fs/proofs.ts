/**
 * May the login make and remove names in a directory? The server says so by doing it once; another directory that shows
 * the same owner, group and mode is then taken to allow the same, and what is made there to belong to the same. That
 * is all but sure: lists of access rights, quotas and disks that are full or read-only do not show.
 */
import { LRUCache } from 'lru-cache';
import { S_ISVTX } from '../base/mode.js';
import type { Attributes, Ids } from './operations.js';

/** Kinds of directories that are remembered. */
const CAPACITY = 1000;

interface Proof {
  /** Whose new files there are, as programs see it; null while only removals have shown something. */
  owner: Ids | null;
}

export class Proofs {
  readonly #proofs = new LRUCache<string, Proof>({ max: CAPACITY });
  #login: number | null = null;

  /** Whose new files are, as programs see it; null before any was made. */
  get login(): number | null {
    return this.#login;
  }

  /** In `directory` a name was made or removed; `made` is what the server said of a new one. */
  learn(directory: Attributes, made: Ids | null): void {
    const key = keyOf(directory);
    const owner = made === null ? (this.#proofs.get(key)?.owner ?? null) : { uid: made.uid, gid: made.gid };
    this.#proofs.set(key, { owner });
    if (made !== null) this.#login = made.uid;
  }

  /** May the login change names there, by all that was shown? In a sticky directory each name is a question of its own. */
  allows(directory: Attributes): boolean {
    return (directory.mode & S_ISVTX) === 0 && this.#proofs.has(keyOf(directory));
  }

  /** Whose a new file there will be; null when that has to be seen first. */
  ownerIn(directory: Attributes): Ids | null {
    return this.allows(directory) ? (this.#proofs.get(keyOf(directory))?.owner ?? null) : null;
  }

  /** Something that was all but sure has failed: everything is to be shown again. */
  clear(): void {
    this.#proofs.clear();
  }
}

function keyOf({ uid, gid, mode }: Attributes): string {
  return `${uid}:${gid}:${mode}`;
}
