/**
 * Files that programs have open and the server does not: everything that was asked of them so far was here. One that
 * stays open is opened on the server as well, so that it outlives its name, whoever removes that; and it is opened
 * at once before we do something to its name ourselves.
 */
import { logger } from '../base/log.js';
import { isWithin, type Path } from '../base/path.js';
import type { OpenFile } from './open-file.js';
import type { Store } from './parts.js';
import { isStale } from './remote.js';

const log = logger('files');

/** Milliseconds after which a file is open on the server. */
const LATEST = 1000;

export class LateOpens {
  readonly #store: Store;
  readonly #timers = new Map<OpenFile, NodeJS.Timeout>();
  /** Called for a file whose name turned out to be another one's. */
  onReplaced: (path: Path) => void = () => undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** `file` has a handle that the server does not know. */
  add(file: OpenFile): void {
    this.#timers.set(file, setTimeout(() => this.#open(file), LATEST).unref());
  }

  /** Nobody needs it any more. */
  closed(file: OpenFile): void {
    clearTimeout(this.#timers.get(file));
    this.#timers.delete(file);
  }

  /**
   * The name `path` is about to change: whatever is open at or below it is opened by requests that go before any that
   * are sent, or posted, from now on.
   */
  before(path: Path): void {
    for (const file of this.#timers.keys()) {
      if (file.node.path !== null && isWithin(file.node.path, path)) this.#open(file);
    }
  }

  #open(file: OpenFile): void {
    this.closed(file);
    this.#store.remote.client.openNow(file.handle).catch((error: unknown) => {
      log('opening late: %s', error);
      const { path } = file.node;
      if (isStale(error) && path !== null && this.#store.files.openAt(path) === file.node)
        this.onReplaced(path);
    });
  }
}
