/**
 * Does the server still answer? Whatever arrives is a sign of life. When nothing did for an interval, a question
 * goes out that every server answers (keepalive@openssh.com); one that stays unanswered for an interval means
 * silence, and after so many of them the connection is lost: with an interval of 15 s and 3 questions, silence is
 * told after 30 s and the loss after 60 s. A probe asks at once and sets a time for the answer.
 */
import type { Clock } from '../base/clock.js';
import { logger } from '../base/log.js';

const log = logger('ssh');

/** How long silence is borne. */
export interface Patience {
  /** Milliseconds without a sign of life before each question; 0 asks none. */
  readonly interval: number;
  /** Questions that may stay unanswered. */
  readonly countMax: number;
}

/** What is known of the other end, in milliseconds of a monotonic clock. */
export interface Signs {
  readonly heardAt: number;
  readonly askedAt: number;
  /** Questions since anything was heard. */
  readonly asked: number;
  /** When a probe's answer is due; Infinity without one. */
  readonly answerBy: number;
}

/** What is due: a question, giving up, or nothing until a time (Infinity: nothing at all). */
export function due(
  { heardAt, askedAt, asked, answerBy }: Signs,
  { interval, countMax }: Patience,
  now: number,
): 'ask' | 'lost' | number {
  if (now >= answerBy) return 'lost';
  const next = interval > 0 ? Math.max(heardAt, askedAt) + interval : Number.POSITIVE_INFINITY;
  if (now < next) return Math.min(next, answerBy);
  return asked < countMax ? 'ask' : 'lost';
}

export interface LivenessSettings extends Patience {
  readonly clock: Clock;
  /** Sends something that the server answers. */
  ask(): void;
  /** True: a question stayed unanswered for an interval. False: something arrived after all. */
  onSilence(silent: boolean): void;
  /** Called once, after which nothing is asked or told any more. */
  onLost(): void;
}

/** Nothing is asked; a question is on its way; one stayed unanswered; it is not looked at any more. */
type State = 'alive' | 'asked' | 'silent' | 'stopped';

export class Liveness {
  readonly #settings: LivenessSettings;
  #state: State = 'alive';
  #heardAt: number;
  #askedAt = Number.NEGATIVE_INFINITY;
  #asked = 0;
  #answerBy = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;

  /** Begins to watch at once. Its timers do not keep the process alive. */
  constructor(settings: LivenessSettings) {
    this.#settings = settings;
    this.#heardAt = settings.clock.monotonic();
    this.#check();
  }

  /** Something arrived. Cheap: it is called for every chunk of data. */
  heard(): void {
    this.#heardAt = this.#settings.clock.monotonic();
    if (this.#asked > 0) this.#answered();
  }

  /** Asks now; unless anything is heard within so many milliseconds, the connection is lost. */
  probe(within: number): void {
    if (this.#state === 'stopped') return;
    this.#answerBy = Math.min(this.#answerBy, this.#settings.clock.monotonic() + within);
    this.#ask();
    this.#check();
  }

  stop(): void {
    if (this.#state !== 'stopped') this.#setState('stopped');
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #setState(state: State): void {
    log('liveness: %s -> %s', this.#state, state);
    this.#state = state;
  }

  #ask(): void {
    this.#askedAt = this.#settings.clock.monotonic();
    this.#asked += 1;
    if (this.#state === 'alive') this.#setState('asked');
    this.#settings.ask();
  }

  #answered(): void {
    this.#asked = 0;
    this.#answerBy = Number.POSITIVE_INFINITY;
    if (this.#state === 'stopped') return;
    const wasSilent = this.#state === 'silent';
    this.#setState('alive');
    if (wasSilent) this.#settings.onSilence(false);
  }

  #check(): void {
    if (this.#state === 'stopped') return;
    const next = due(this.#signs(), this.#settings, this.#settings.clock.monotonic());
    if (next === 'lost') {
      this.stop();
      this.#settings.onLost();
    } else if (next === 'ask') {
      if (this.#state === 'asked') {
        this.#setState('silent');
        this.#settings.onSilence(true);
      }
      this.#ask();
      this.#check();
    } else {
      this.#lookAt(next);
    }
  }

  #signs(): Signs {
    return {
      heardAt: this.#heardAt,
      askedAt: this.#askedAt,
      asked: this.#asked,
      answerBy: this.#answerBy,
    };
  }

  #lookAt(time: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (time === Number.POSITIVE_INFINITY) return;
    // A process that stood still finds its timers expired before it reads what arrived meanwhile. Immediates
    // come after that.
    const look = () => void setImmediate(() => this.#check());
    this.#timer = setTimeout(look, Math.ceil(time - this.#settings.clock.monotonic())).unref();
  }
}
