/**
 * Numbers for open files and directories: fuse-native carries a handle in 31 bits, and takes 0 for none. So each
 * gets the smallest number that is free.
 */
import { FsError } from '../base/errno.js';

export class Handles {
  readonly #handles: (number | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#handles.length - this.#free.length;
  }

  /** The number of a handle of the filesystem, 1 or more. */
  add(handle: number): number {
    const index = this.#free.pop() ?? this.#handles.length;
    this.#handles[index] = handle;
    return index + 1;
  }

  /** The filesystem's handle. Throws EBADF for a number that is not given out. */
  get(number: number): number {
    const handle = this.#handles[number - 1];
    if (handle === undefined) throw new FsError('EBADF', `no handle ${number}`);
    return handle;
  }

  /** Answers the handle, whose number is free from then on. */
  remove(number: number): number {
    const handle = this.get(number);
    this.#handles[number - 1] = undefined;
    this.#free.push(number - 1);
    return handle;
  }

  /** Empties the table and answers what was in it. */
  drain(): readonly number[] {
    const handles = this.#handles.filter((handle) => handle !== undefined);
    this.#handles.length = 0;
    this.#free.length = 0;
    return handles;
  }
}
