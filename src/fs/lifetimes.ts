/**
 * How much longer what is known of names may be trusted: for the lifetimes of the options, and beyond them while a
 * watch on the server vouches for it. A lifetime of 0 is a wish to ask each time, which no watch overrules.
 */
import type { Clock } from '../base/clock.js';
import { S_IFDIR } from '../base/mode.js';
import { joinPath, type Path, ROOT } from '../base/path.js';
import { ABOVE_ROOT } from './directories.js';
import type { Directory, Name } from './directory.js';
import type { FsOptions } from './options.js';
import type { Vouching } from './vouching.js';

/** All times are in milliseconds; what is 0 or less is over. */
export class Lifetimes {
  readonly #options: FsOptions;
  readonly #vouching: Vouching;
  readonly #clock: Clock;

  constructor(options: FsOptions, vouching: Vouching, clock: Clock) {
    this.#options = options;
    this.#vouching = vouching;
    this.#clock = clock;
  }

  /** Of a name in the directory `home`, whether it exists or not. */
  ofName(home: Path, name: Name): number {
    const { statTtl, negativeTtl } = this.#options;
    return this.#longer(name.at, name.attributes === null ? negativeTtl : statTtl, () =>
      this.#vouched(home, name),
    );
  }

  /** Is the name in the directory `home` known as if it had been asked for within so many milliseconds? */
  isFresh(home: Path, name: Name, age: number): boolean {
    if (this.#clock.monotonic() - name.at < age) return true;
    return this.#vouching.isProvedWithin(age) && this.#vouched(home, name) > 0;
  }

  /** Of the listing of a directory. */
  ofListing(path: Path, { listedAt }: Directory): number {
    return this.#longer(listedAt, this.#options.dirTtl, (at) => this.#vouching.leftOfNames(path, at));
  }

  /** Of the belief that names which are missing in the listing of a directory do not exist. */
  ofAbsence(path: Path, { absenceProvedAt }: Directory): number {
    return this.#longer(absenceProvedAt, this.#options.negativeTtl, (at) =>
      this.#vouching.leftOfNames(path, at),
    );
  }

  #longer(at: number | null, plain: number, vouched: (at: number) => number): number {
    if (at === null || plain === 0) return 0;
    const left = at + plain - this.#clock.monotonic();
    return left > 0 ? left : vouched(at);
  }

  #vouched(home: Path, { name, type, attributes, at }: Name): number {
    if (home === ABOVE_ROOT) return this.#vouching.leftOf(ROOT, ROOT, at);
    // A change through another of its names makes its event there.
    if (type !== S_IFDIR && (attributes?.nlink ?? 1) > 1) return 0;
    const path = joinPath(home, name);
    if (attributes === null) return this.#vouching.leftOfAbsence(path, home, at);
    const left = this.#vouching.leftOf(path, home, at);
    // What is made in a directory changes its attributes, and is told to who watches the directory itself.
    return type === S_IFDIR ? Math.min(left, this.#vouching.left(path, at)) : left;
  }
}
