/**
 * The thread in which fuse-native runs libfuse's loop: it ends when the kernel has let go of the mount, which is
 * told in no other way. So it is asked again and again, by a call that costs less than a microsecond.
 */
import { koffi } from '../fuse/koffi.js';

/** Milliseconds between two looks. */
const INTERVAL = 100;

/** `fuse_thread_t` begins with a `napi_env`; its `pthread_t` is next. */
const PTHREAD = 8;

/** What asks whether a thread has ended; both answer 0 or an errno. */
function hasEnded(platform: NodeJS.Platform): (thread: bigint) => boolean {
  const self = koffi().load(null);
  if (platform === 'darwin') {
    const kill = self.func('int pthread_kill(uintptr_t thread, int signal)');
    return (thread) => kill(thread, 0) !== 0;
  }
  const tryjoin = self.func('int pthread_tryjoin_np(uintptr_t thread, void **result)');
  return (thread) => tryjoin(thread, null) === 0;
}

/** Resolves when the thread of `fuse_thread_t` has ended. */
export function threadEnd(thread: Buffer, platform = process.platform): Promise<void> {
  const id = thread.readBigUInt64LE(PTHREAD);
  const ended = hasEnded(platform);
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (!ended(id)) return;
      clearInterval(timer);
      resolve();
    }, INTERVAL);
  });
}
