/** Where symbolic links lead: what the server said is remembered for a time, and judged each time it is told. */
import type { ByteString } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { isWithin, type Path, parentOf } from '../base/path.js';
import type { Epochs } from '../cache/epochs.js';
import { TimedStore } from '../cache/timed.js';
import type { LinkGuard } from './containment.js';
import type { Remote } from './remote.js';

/** How many targets are remembered. */
const CAPACITY = 1024;

export class Symlinks {
  readonly #remote: Remote;
  readonly #guard: LinkGuard;
  readonly #epochs: Epochs;
  readonly #ttl: number;
  readonly #targets: TimedStore<ByteString>;

  /** `ttl`: milliseconds that a target is trusted. */
  constructor(remote: Remote, guard: LinkGuard, epochs: Epochs, ttl: number, clock: Clock) {
    this.#remote = remote;
    this.#guard = guard;
    this.#epochs = epochs;
    this.#ttl = ttl;
    this.#targets = new TimedStore(CAPACITY, clock);
  }

  /** The target as programs may see it from `path`; the server's own is what is remembered, since `path` may change. */
  async read(path: Path): Promise<ByteString> {
    const target = this.#targets.get(path)?.value ?? (await this.#ask(path));
    const directory = this.#remote.at(parentOf(path));
    return this.#guard.judge(path, target, (it) => {
      return this.#remote.client.realpath(it.startsWith('/') ? it : (`${directory}/${it}` as ByteString));
    });
  }

  forget(path: Path): void {
    this.#targets.delete(path);
  }

  forgetWithin(path: Path): void {
    this.#targets.deleteWhere((key) => isWithin(key, path));
  }

  renamed(from: Path, to: Path): void {
    const target = this.#targets.get(from);
    this.#targets.delete(to);
    if (target !== undefined) this.#targets.set(to, target.value, target.ttl);
  }

  async #ask(path: Path): Promise<ByteString> {
    const since = this.#epochs.now();
    const at = this.#remote.at(path);
    const target = await this.#remote.ask(this.#remote.client.readlink(at), { op: 'readlink', path: at });
    if (this.#epochs.isCurrent(path, since)) this.#targets.set(path, target, this.#ttl);
    return target;
  }
}
