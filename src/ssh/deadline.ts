/** A bound on the machine's time that stands still while a person thinks. */
import { type Clock, systemClock } from '../base/clock.js';
import type { Prompter } from './settings.js';

export class Deadline {
  readonly #clock: Clock;
  #state: 'idle' | 'running' | 'paused' | 'over' = 'idle';
  #onExpired: () => void = () => {};
  #remaining: number;
  #startedAt = 0;
  #timer: NodeJS.Timeout | null = null;
  #pauses = 0;

  /** @param limit in milliseconds. */
  constructor(limit: number, clock: Clock = systemClock) {
    this.#remaining = limit;
    this.#clock = clock;
  }

  /** Starts the clock; `onExpired` is called once if it runs out before `finish()`. */
  start(onExpired: () => void): void {
    this.#onExpired = onExpired;
    this.#run();
  }

  /** It was reached in time, or does not matter any more. */
  finish(): void {
    this.#stop();
    this.#state = 'over';
  }

  /** Runs `ask` with the clock standing still. */
  async pausedDuring<T>(ask: () => Promise<T>): Promise<T> {
    this.#pauses++;
    if (this.#state === 'running') {
      this.#stop();
      this.#state = 'paused';
    }
    try {
      return await ask();
    } finally {
      this.#pauses--;
      if (this.#pauses === 0 && this.#state === 'paused') this.#run();
    }
  }

  #run(): void {
    this.#state = 'running';
    this.#startedAt = this.#clock.monotonic();
    const expire = () => {
      this.#state = 'over';
      this.#onExpired();
    };
    this.#timer = setTimeout(expire, Math.max(0, this.#remaining));
  }

  #stop(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#remaining -= this.#clock.monotonic() - this.#startedAt;
  }
}

/** `prompter`, with the clock standing still while an answer is awaited; mute in batch mode. */
export function pausing(prompter: Prompter, deadline: Deadline, batchMode: boolean): Prompter {
  return {
    interactive: prompter.interactive && !batchMode,
    secret: (question) => deadline.pausedDuring(() => prompter.secret(question)),
    confirm: (question) => deadline.pausedDuring(() => prompter.confirm(question)),
    info: (message) => prompter.info(message),
    tried: (attempt) => prompter.tried?.(attempt),
  };
}
