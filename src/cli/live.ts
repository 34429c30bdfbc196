/**
 * How a mount hears of what others do on the server: by a program there, by looking every few seconds, or not at all.
 * Puts together who watches (`watch`), what is watched (`fs/elsewhere`) and the connection that carries it.
 */
import type { ByteString } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import type { MountOptions } from '../config/parse.js';
import type { FileSystem } from '../fs/filesystem.js';
import { ConnectError } from '../ssh/errors.js';
import { Poller } from '../watch/poller.js';
import { Watcher } from '../watch/watcher.js';
import type { Link } from './link.js';
import { fsOptions } from './wiring.js';

/** What holds at the moment. */
export interface WatchStatus {
  readonly mode: 'inotify' | 'poll' | 'off';
  /** What runs on the server; null for nothing. */
  readonly program: string | null;
  /** That are watched, or were looked at in the last round. */
  readonly directories: number;
  /** Why it is off, or does not cover all; null if all is well. */
  readonly reason: string | null;
}

export interface LiveWatchSettings {
  readonly link: Link;
  readonly filesystem: FileSystem;
  /** The mounted directory on the server. */
  readonly root: ByteString;
  readonly options: MountOptions;
  readonly clock: Clock;
  /** Takes a line for the log of the mount. */
  report(text: string): void;
}

export class LiveWatch {
  readonly #watcher: Watcher | null = null;
  readonly #poller: Poller | null = null;
  readonly #whyNot: string;

  constructor({ link, filesystem, root, options, clock, report }: LiveWatchSettings) {
    const { watch, watchMax } = options;
    const { elsewhere } = filesystem;
    this.#whyNot = whyNot(options);
    if (this.#whyNot !== '') return;
    if (watch === 'poll') {
      this.#poller = new Poller(elsewhere, clock, watchMax);
      return;
    }
    const watcher = new Watcher({
      clock,
      watched: elsewhere,
      root,
      most: watchMax,
      lifetime: fsOptions(options).statTtl,
      // Nobody has asked for a program, so it may cost no login.
      open: (command) => link.openCommand(command, watch === 'inotify'),
      isConnected: () => link.status().state === 'connected',
      // Silently, where it was left to us.
      impossible: (reason) => {
        if (watch === 'inotify') report(`changes on the server are not seen at once: ${reason}`);
      },
      isFinal: (error) => error instanceof ConnectError && error.kind === 'subsystem',
    });
    elsewhere.onListed = () => watcher.hurry();
    elsewhere.onDropped = (directory) => watcher.dropped(directory);
    this.#watcher = watcher;
  }

  status(): WatchStatus {
    if (this.#poller !== null) {
      return { mode: 'poll', program: null, directories: this.#poller.directories, reason: null };
    }
    if (this.#watcher === null) {
      return { mode: 'off', program: null, directories: 0, reason: this.#whyNot };
    }
    const { state, program, directories, reason } = this.#watcher.status();
    return { mode: state === 'watching' ? 'inotify' : 'off', program, directories, reason };
  }

  /** The server is there again, by another connection perhaps. */
  reconnected(): void {
    this.#watcher?.reconnected();
  }

  close(): void {
    this.#watcher?.close();
    this.#poller?.close();
  }
}

/** Why nothing is to be watched, whatever the server can do; empty where it may. */
function whyNot({ watch, followSymlinks, ...options }: MountOptions): string {
  if (watch === 'off') return 'watch=off';
  if (fsOptions({ watch, followSymlinks, ...options }).statTtl === 0)
    return 'nothing is trusted for any time';
  // What a link leads to changes in places that nobody watches.
  return followSymlinks ? 'follow_symlinks' : '';
}
