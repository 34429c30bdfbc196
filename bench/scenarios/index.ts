/** All scenarios, in the order in which they run. */
import { type Sizes, sizesFor } from '../sizes.js';
import { changes } from './changes.js';
import { copies } from './copies.js';
import { files } from './files.js';
import { latency } from './latency.js';
import { memory } from './memory.js';
import { random } from './random.js';
import type { Scenario } from './scenario.js';
import { sequential } from './sequential.js';
import { trees } from './trees.js';

export function scenariosFor(sizes: Sizes): readonly Scenario[] {
  return [sequential, random, trees, files, copies, changes, latency, memory].flatMap((factory) =>
    factory(sizes),
  );
}

export const SCENARIO_NAMES: readonly string[] = scenariosFor(sizesFor(0, true)).map(({ name }) => name);
