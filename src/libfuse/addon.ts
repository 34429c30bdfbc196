/**
 * fuse-native, an optional dependency: finding it, and giving it the libfuse it was linked with. Its binary for Linux
 * asks for `libfuse.so.2`, which distributions are dropping; a copy comes with its own dependency, and once that is
 * loaded, the dynamic linker is content with it. What is said of the inner workings of both here, in `call-record` and
 * in `single-times` is true of one version, which is therefore the only one taken.
 */
import { createRequire } from 'node:module';
import { npmInstall } from '../base/installation.js';
import { logger } from '../base/log.js';
import { koffi } from '../fuse/koffi.js';
import { MountError } from '../fuse/mount/errors.js';

const log = logger('libfuse');

const VERSION = '2.2.6';

/** Of fuse-shared-library-linux, which holds libfuse 2.9.9. */
const LIBFUSE_VERSION = '1.0.1';

/** The answer of one call: 0, a count of bytes or a negative errno, and what belongs to it. Exactly once. */
export type Answer = (code: number, ...values: readonly unknown[]) => void;

/** One callback by fuse-native's name for it. The last argument is an `Answer`. */
export type Callback = (...args: never[]) => void;

/** `native` is the record of the call, see `CallRecord`. */
export type Handler = (native: Buffer, opcode: number, ...args: unknown[]) => void;

/** As far as it is used: `mount`, and two members between its constructor and `mount`. */
export interface FuseNative {
  mount(done: (error: Error | null) => void): void;
  /** `fuse_thread_t`, once it is mounting: its `pthread_t` is the thread that serves. */
  readonly _thread: Buffer;
  /** The `-o` list for libfuse. */
  _fuseOptions: () => string;
  /** What the native side calls, by opcode. */
  _handlers: (Handler | undefined)[];
}

export type FuseNativeClass = new (
  mountpoint: string,
  callbacks: Readonly<Record<string, Callback>>,
  options: { readonly timeout: false },
) => FuseNative;

const REMEDY = npmInstall(`--ignore-scripts fuse-native@${VERSION}`);

/** fuse-native is missing, or cannot be used. */
export class UnusableError extends MountError {
  /** Of the message, what is wrong. */
  readonly what: string;
  /** The command that mends it; null where none does. */
  readonly remedy: string | null;

  constructor(why: string, remedy: string | null, cause?: unknown) {
    const what = `driver=libfuse needs fuse-native ${VERSION}: ${why}`;
    super('no-driver', remedy === null ? what : `${what} (${remedy})`, { cause });
    this.what = what;
    this.remedy = remedy;
  }
}

const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';

/** What was loaded. */
export interface Loaded {
  readonly FuseNative: FuseNativeClass;
  /** It works with the libfuse that it brings, of the version known here, rather than with one of the system. */
  readonly isOwnLibfuse: boolean;
}

/** Loads it, or throws an `UnusableError`. */
export function loadFuseNative(require: NodeJS.Require = createRequire(import.meta.url)): Loaded {
  let version: unknown;
  try {
    ({ version } = require('fuse-native/package.json') as { version?: unknown });
  } catch (cause) {
    throw new UnusableError('it is not installed', REMEDY, cause);
  }
  if (version !== VERSION) throw new UnusableError(`version ${version} is installed`, REMEDY);
  const isOwnLibfuse = loadOwnLibfuse(require);
  try {
    return { FuseNative: require('fuse-native') as FuseNativeClass, isOwnLibfuse };
  } catch (cause) {
    throw new UnusableError(`it cannot be loaded: ${messageOf(cause)}`, null, cause);
  }
}

/** On macOS the binary finds its library itself. */
function loadOwnLibfuse(require: NodeJS.Require): boolean {
  if (process.platform !== 'linux') return false;
  try {
    const near = createRequire(require.resolve('fuse-native'));
    const { lib } = near('fuse-shared-library') as { lib: string };
    const { version } = near('fuse-shared-library-linux/package.json') as { version?: unknown };
    koffi().load(lib);
    return version === LIBFUSE_VERSION;
  } catch (cause) {
    log('not with its own libfuse: %s', messageOf(cause));
    return false;
  }
}
