/**
 * What is done behind the back of programs (`durability=async`): a change whose success is all but sure is answered at
 * once and *posted*, to go to the server in order with others about the same names (see recovery/order.ts). What is
 * posted is bounded: beyond that, programs wait. One that fails after all is told to whoever asks whether everything
 * went well (fsync, unmount, status), stands in the log, and is taken back here and in the kernel, so that programs
 * see what is true; and nothing is taken for sure any more until the server has shown it again.
 */
import { type ByteString, decodeText } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { FsError } from '../base/errno.js';
import { type Path, parentOf } from '../base/path.js';
import type { RecoveringClient } from '../recovery/client.js';
import type { Requests } from '../recovery/requests.js';
import type { Unsent } from './open-file.js';
import type { Attributes, Ids } from './operations.js';
import { Proofs } from './proofs.js';

/** Changes that may be unconfirmed, and files that are closed and not confirmed: the server has a handle for each. */
const MAX_CHANGES = 1000;
const MAX_CLOSING = 100;
/** Failures that are kept by name until a person was told of them. */
const MAX_FAILURES = 100;

/** Whoever may ask whether everything went well, and how many failures it need not hear of any more. */
export interface Listener {
  heard: number;
}

/** One change that nobody waits for. */
export interface Post {
  /** The words for a person: `create`, `rename to b`. */
  readonly what: string;
  /** The name that a person knows it by. */
  readonly path: Path;
  /** What it is about, absolute, on the server. */
  readonly about: readonly ByteString[];
  /** Rejects with an `FsError`. */
  work(requests: Requests): Promise<void>;
  /** Takes back what programs see of it. */
  takeBack(failure: FsError): void;
}

interface PostedSettings {
  readonly client: RecoveringClient;
  readonly isOn: boolean;
  report(text: string): void;
  /** What is known of a directory, if anything is. */
  directory(path: Path): Attributes | null | undefined;
}

/** What programs are told of something that is being made, of `size` bytes, before the server says what it is. */
export function newAttributes(mode: number, size: number, owner: Ids, clock: Clock): Attributes {
  const now = Math.floor(clock.now() / 1000);
  return { mode, size, uid: owner.uid, gid: owner.gid, atime: now, mtime: now, ctime: now, nlink: 1 };
}

export class Posted {
  readonly proofs = new Proofs();
  readonly #settings: PostedSettings;
  readonly #pending = new Set<Post>();
  #waiting: (() => void)[] = [];
  #closing = 0;
  /** Failures so far, of how many anybody was told by a call, and of how many a person was told at an unmount. */
  #failed = 0;
  #heard = 0;
  /** The server refused something since it took data for the last time. */
  #isWary = false;
  #last: FsError | null = null;
  /** What a person has not been told of at an unmount. */
  #untold: Unsent[] = [];

  constructor(settings: PostedSettings) {
    this.#settings = settings;
  }

  /** Is anything posted on this mount at all? */
  get isOn(): boolean {
    return this.#settings.isOn;
  }

  /** Changes that the server has not confirmed. */
  get pending(): number {
    return this.#pending.size;
  }

  /** How many have failed since mounting. */
  get failed(): number {
    return this.#failed;
  }

  /** Is data that a program leaves behind all but sure to be taken, so that its close need not wait? */
  get answersClose(): boolean {
    return this.isOn && !this.#isWary;
  }

  /** The server has taken data for which a program waited. */
  dataArrived(): void {
    this.#isWary = false;
  }

  /** May the login change names in the directory of `path`, by all that is known? */
  mayChange(path: Path): boolean {
    const directory = this.isOn ? this.#settings.directory(parentOf(path)) : null;
    return directory !== null && directory !== undefined && this.proofs.allows(directory);
  }

  /** Whose a new file at `path` will be, if all that is known says that it can be made; else null. */
  ownerAt(path: Path): Ids | null {
    const directory = this.isOn ? this.#settings.directory(parentOf(path)) : null;
    return directory === null || directory === undefined ? null : this.proofs.ownerIn(directory);
  }

  /** The server has changed a name at `path`; `made` is what it said of a new one. */
  proved(path: Path, made: Ids | null): void {
    const directory = this.isOn ? this.#settings.directory(parentOf(path)) : null;
    if (directory) this.proofs.learn(directory, made);
  }

  /**
   * Resolves when there may be room for another change: others that waited may be quicker, so ask again. Null when there
   * is. Rejects when the server is gone for too long (ETIMEDOUT, EHOSTDOWN).
   */
  room(): Promise<void> | null {
    if (this.#hasRoom) return null;
    return this.#settings.client.patiently(new Promise((resolve) => this.#waiting.push(resolve)));
  }

  post(post: Post): void {
    const { client } = this.#settings;
    this.#pending.add(post);
    void client
      .post(post.about, async (requests) => {
        try {
          await post.work(requests);
        } catch (error) {
          // What the end of the mount cuts short was named as unconfirmed before.
          if (client.state === 'closed') return;
          const failure = error instanceof FsError ? error : new FsError('EIO', String(error));
          this.failure(post.path, `${post.what}: ${failure.message}`, failure);
          post.takeBack(failure);
        }
      })
      .finally(() => {
        this.#pending.delete(post);
        this.#wake();
      });
  }

  /** The same for `work` that is under way already and tells its failures elsewhere; `closes` a file. */
  follow(
    what: string,
    path: Path,
    about: readonly ByteString[],
    work: Promise<unknown>,
    closes = false,
  ): void {
    if (closes) this.#closing += 1;
    const ended = work.then(
      () => undefined,
      () => undefined,
    );
    const takeBack = () => undefined;
    this.post({ what, path, about, work: () => ended, takeBack });
    if (!closes) return;
    void ended.then(() => {
      this.#closing -= 1;
      this.#wake();
    });
  }

  /** A change, or `bytes` of data, that programs took for done was refused. */
  failure(path: Path, error: string, failure: FsError, bytes = 0): void {
    const name = decodeText(path);
    this.proofs.clear();
    this.#isWary = true;
    this.#failed += 1;
    this.#last = failure;
    this.#untold.push({ path: name, bytes, error, isLost: true });
    if (this.#untold.length > MAX_FAILURES) this.#untold.shift();
    this.#settings.report(`${name}: ${error}`);
  }

  /**
   * Resolves when all that is posted now has ended, one way or the other. Rejects when the server is gone for too long
   * (ETIMEDOUT, EHOSTDOWN).
   */
  settled(): Promise<void> {
    return this.#settings.client.patiently(this.#settings.client.settled());
  }

  /** A new listener hears of what nobody has heard of. */
  listen(): number {
    return this.#heard;
  }

  /** Throws the last failure that `listener` has not heard of; once, unless the program never gets it. */
  tell(listener: Listener): void {
    const { heard } = listener;
    if (this.#last === null || heard === this.#failed) return;
    const allHeard = this.#heard;
    listener.heard = this.#failed;
    this.#heard = this.#failed;
    throw new FsError(this.#last.code, this.#last.message, {
      cause: this.#last,
      undelivered: () => {
        listener.heard = heard;
        this.#heard = allHeard;
      },
    });
  }

  /** What a person has not been told of: what failed, and what is not confirmed. */
  unsent(): readonly Unsent[] {
    const waiting = [...this.#pending].map(({ what, path }) => {
      return {
        path: decodeText(path),
        bytes: 0,
        error: `${what}: not confirmed by the server`,
        isLost: false,
      };
    });
    return [...this.#untold, ...waiting];
  }

  /** A person was told of what has failed. */
  told(): void {
    this.#untold = [];
  }

  get #hasRoom(): boolean {
    return this.#pending.size < MAX_CHANGES && this.#closing < MAX_CLOSING;
  }

  #wake(): void {
    while (this.#hasRoom && this.#waiting.length > 0) this.#waiting.shift()?.();
  }
}
