/**
 * When a program is let go before its call has an answer: at once by a signal that ends it, and after a grace time by
 * one that it handles, as far as the call may be given up (see Interruptibility). The kernel tells of a signal once, and
 * of some ends not at all, so a call that may not be stopped yet is looked at again and again.
 */
import {
  type Fate,
  INTERRUPT_GRACE_MS,
  type Interruptibility,
  interruptVerdict,
  readFate,
  readThreadSignals,
  type ThreadSignals,
} from './interrupts.js';
import type { InHeader } from './protocol/requests.js';

/** How it is found out what becomes of whoever waits; as /proc has it, where a function is left out. */
export interface StoppingSettings {
  /** Looks at the thread that waits for an interrupted request. */
  readonly threadSignals?: (pid: number) => ThreadSignals | null;
  /** Looks whether the thread that waits still lives. */
  readonly fateOf?: (pid: number) => Fate;
  /** Does the server fail to answer at this moment? Signals that a program handles then end more calls. */
  readonly isStalled?: () => boolean;
}

/** A call that may have to be stopped. */
export interface Stoppable {
  readonly header: InHeader;
  readonly interruptibility: Interruptibility;
  isInterrupted: boolean;
  graceTimer: NodeJS.Timeout | null;
}

export class Stopping<T extends Stoppable> {
  readonly #threadSignals: (pid: number) => ThreadSignals | null;
  readonly #fateOf: (pid: number) => Fate;
  readonly #isStalled: () => boolean;
  readonly #stop: (call: T) => void;

  /** `stop` answers the call with EINTR. */
  constructor(settings: StoppingSettings, stop: (call: T) => void) {
    this.#threadSignals = settings.threadSignals ?? readThreadSignals;
    this.#fateOf = settings.fateOf ?? readFate;
    this.#isStalled = settings.isStalled ?? (() => false);
    this.#stop = stop;
  }

  /** A signal is pending for the thread that waits. */
  interrupted(call: T): void {
    if (interruptVerdict(this.#threadSignals(call.header.pid)) === 'now') this.#stop(call);
    else if (call.interruptibility !== 'never') {
      call.isInterrupted = true;
      this.watch(call);
    }
  }

  /** Looks at the call from time to time until it is stopped or `ended`. */
  watch(call: T): void {
    call.graceTimer ??= this.#grace(call);
  }

  /** The call needs no look any more. */
  ended({ graceTimer }: T): void {
    if (graceTimer !== null) clearTimeout(graceTimer);
  }

  /** Does the program go on, so that it looks at the answer? */
  isHeard({ header }: T): boolean {
    return this.#fateOf(header.pid) === 'lives';
  }

  #grace(call: T): NodeJS.Timeout {
    const timer = setTimeout(() => {
      if (this.#mayStop(call)) this.#stop(call);
      else call.graceTimer = this.#grace(call);
    }, INTERRUPT_GRACE_MS);
    return timer.unref();
  }

  #mayStop({ header, interruptibility, isInterrupted }: T): boolean {
    if (isInterrupted && interruptibility === 'always') return true;
    return this.#isStalled() && (isInterrupted || this.#fateOf(header.pid) === 'killed');
  }
}
