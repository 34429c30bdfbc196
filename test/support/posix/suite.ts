/**
 * The whole conformance suite by name. What depends on privileges comes on top: cases for root, or cases for
 * somebody whom permissions bind.
 */
import { attributeCases } from './attributes.js';
import { behindCases } from './behind.js';
import { dataCases } from './data.js';
import { directoryCases } from './directories.js';
import type { Suite } from './kit.js';
import { linkCases } from './links.js';
import { nameCases } from './names.js';
import { openingCases } from './opening.js';
import { rootCases, userCases } from './privileges.js';
import { renameCases } from './renames.js';
import { sharingCases } from './sharing.js';
import { sizeCases } from './sizes.js';

const common: Suite = {
  ...openingCases,
  ...dataCases,
  ...sizeCases,
  ...sharingCases,
  ...directoryCases,
  ...nameCases,
  ...renameCases,
  ...linkCases,
  ...attributeCases,
  ...behindCases,
};

export const posixSuite: Suite = { ...common, ...rootCases, ...userCases };

/** Names of the cases for a user of this id. */
export function casesFor(uid: number): readonly string[] {
  return Object.keys({ ...common, ...(uid === 0 ? rootCases : userCases) });
}

/** Cases that spend their time waiting for a cache to run out, and may do so side by side. */
export const PATIENT: ReadonlySet<string> = new Set(Object.keys(behindCases));
