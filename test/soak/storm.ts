/**
 * Faults at random, several at once, with random pauses, until it is told to stop; then everything is taken back.
 * The choice is the seed's; what it meets is the run's.
 */
import { FAULTS, type Stage } from './faults.js';
import type { Random } from './random.js';

/** A fault that was played, in milliseconds since the epoch. */
export interface Played {
  readonly fault: string;
  readonly begin: number;
  readonly end: number;
}

/** Longest pause of one track between two faults, in milliseconds. */
const PAUSE = 2_500;

export class Storm {
  readonly played: Played[] = [];
  readonly #stage: Stage;
  readonly #names: readonly string[];
  readonly #tracks: Promise<void>[];
  readonly #over: Promise<void>;
  #end: () => void = () => {};
  #raging = true;
  readonly #busy = new Set<string>();

  /** Begins at once, with one track of the named faults for each source of random numbers. */
  constructor(stage: Stage, names: readonly string[], randoms: readonly Random[]) {
    this.#stage = stage;
    this.#names = names;
    this.#over = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#tracks = randoms.map((random) => this.#rage(random));
  }

  /** Ends every fault; afterwards network, server and disk are as they should be. */
  async stop(): Promise<void> {
    this.#raging = false;
    this.#end();
    await Promise.all(this.#tracks);
    await this.#stage.proxy.calm();
  }

  async #rage(random: Random): Promise<void> {
    const wait = (milliseconds: number) => this.#wait(milliseconds);
    await wait(random.between(100, PAUSE));
    while (this.#raging) {
      const name = choose(this.#names, random);
      const fault = FAULTS[name];
      const group = fault?.group ?? name;
      // Two of a group would take back what the other one did.
      if (fault !== undefined && (group === 'once' || !this.#busy.has(group))) {
        this.#busy.add(group);
        const begin = Date.now();
        await fault.play({ stage: this.#stage, random, wait });
        this.played.push({ fault: name, begin, end: Date.now() });
        this.#busy.delete(group);
      }
      await wait(random.between(50, PAUSE));
    }
  }

  async #wait(milliseconds: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const passed = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, milliseconds);
    });
    await Promise.race([passed, this.#over]);
    clearTimeout(timer);
  }
}

function choose(names: readonly string[], random: Random): string {
  const weights = names.map((name) => FAULTS[name]?.weight ?? 0);
  let rest = random.next() * weights.reduce((sum, weight) => sum + weight, 0);
  const index = weights.findIndex((weight) => {
    rest -= weight;
    return rest < 0;
  });
  const name = names[index];
  if (name === undefined) throw new Error('no fault to play');
  return name;
}
