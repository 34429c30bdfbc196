/**
 * Which requests wait for which. Programs wait for the answer to most of what they ask, so the order of the calls is
 * the order on the channel. What is *posted* is waited for by nobody: it ends when the server has confirmed all of it,
 * and until then whatever concerns the same name, or one above or below it, is held back. So no two requests that
 * depend on each other are ever under way together, and a lost connection can be mended for each of them alone.
 */
import type { ByteString } from '../base/bytes.js';
import { isWithinAbsolute } from '../base/path.js';

interface Posted {
  /** Absolute paths of the server. */
  readonly paths: readonly ByteString[];
  readonly ended: Promise<void>;
}

function touches(some: readonly ByteString[], others: readonly ByteString[]): boolean {
  return some.some((one) =>
    others.some((other) => isWithinAbsolute(one, other) || isWithinAbsolute(other, one)),
  );
}

export class Order {
  readonly #posted = new Set<Posted>();

  /** Resolves when everything about `paths` that was posted before has ended; null when there is nothing. */
  before(paths: readonly ByteString[]): Promise<void> | null {
    if (this.#posted.size === 0) return null;
    const earlier = [...this.#posted].filter((posted) => touches(paths, posted.paths));
    if (earlier.length === 0) return null;
    return Promise.all(earlier.map(({ ended }) => ended)).then(() => undefined);
  }

  /** Resolves when everything posted before this call has ended. */
  async settled(): Promise<void> {
    await Promise.all([...this.#posted].map(({ ended }) => ended));
  }

  /** Runs `work`, which sends requests about `paths`, behind what was posted about them before: at once, if nothing was. */
  post<T>(paths: readonly ByteString[], work: () => Promise<T>): Promise<T> {
    const before = this.before(paths);
    const result = before === null ? work() : before.then(work);
    const forgotten = () => void this.#posted.delete(posted);
    const posted: Posted = { paths, ended: result.then(forgotten, forgotten) };
    this.#posted.add(posted);
    return result;
  }
}
