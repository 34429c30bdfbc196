/**
 * How far to read ahead of one handle: a pure rule. Reading on from where the last read ended (or close to it:
 * the kernel sends its own read-ahead in parallel and out of order) is sequential; a jump closes the window.
 *
 * The window grows only while the reader catches up with it, that is, has to wait: so it ends at what the
 * link holds in flight, whatever its delay, and a reader that computes between its reads keeps it small. The
 * caller bounds it as well, by what the link was seen to carry. The next stretch is asked for when less than
 * half a window is left, so that requests stay large.
 */

export interface ReadAheadState {
  /** Where a sequential reader reads next. */
  readonly next: number;
  /** Bytes to keep ahead; 0 for a reader that jumps. */
  readonly window: number;
  /** Everything before this offset has been asked for. */
  readonly asked: number;
}

export interface ReadAheadPlan {
  readonly state: ReadAheadState;
  /** The stretch to prefetch now, or null. */
  readonly prefetch: { readonly offset: number; readonly length: number } | null;
}

/** A read as the rule sees it; all in bytes. */
export interface SeenRead {
  readonly offset: number;
  readonly size: number;
  readonly fileSize: number;
  /** The data was not there yet. */
  readonly waits: boolean;
}

/** A handle that has not been read yet: its first read counts as sequential if it starts at 0. */
export const READ_AHEAD_START: ReadAheadState = { next: 0, window: 0, asked: 0 };

const FIRST_WINDOW = 256 * 1024;
/** Parallel requests of one sequential reader arrive within this distance of each other, in bytes. */
const SLACK = 1024 * 1024;

/** Decides after a read; `limit` bounds the window, in bytes, and 0 turns it off. */
export function planReadAhead(state: ReadAheadState, read: SeenRead, limit: number): ReadAheadPlan {
  const { offset, size, fileSize, waits } = read;
  const end = offset + size;
  const sequential =
    state.window > 0 ? Math.abs(offset - state.next) <= Math.max(SLACK, state.window) : offset === state.next;
  if (!sequential || limit <= 0) {
    return { state: { next: end, window: 0, asked: end }, prefetch: null };
  }
  const grows = waits && end > state.next;
  const wanted = state.window === 0 ? FIRST_WINDOW : grows ? state.window * 2 : state.window;
  const window = Math.min(limit, wanted);
  const next = Math.max(end, state.next);
  const asked = Math.max(state.asked, next);
  const target = Math.min(fileSize, next + window);
  if (target <= asked || (asked - next > window / 2 && target < fileSize)) {
    return { state: { next, window, asked }, prefetch: null };
  }
  return { state: { next, window, asked: target }, prefetch: { offset: asked, length: target - asked } };
}
