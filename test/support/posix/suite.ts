/**
 * The whole conformance suite by name. What depends on privileges comes on top: cases for root, or cases for
 * somebody whom permissions bind.
 */
import { attributeCases } from './attributes.js';
import { behindCases } from './behind.js';
import { directoryCases } from './directories.js';
import { fileCases } from './files.js';
import type { Suite } from './kit.js';
import { linkCases } from './links.js';
import { nameCases } from './names.js';
import { rootCases, userCases } from './privileges.js';
import { renameCases } from './renames.js';
import { sharingCases } from './sharing.js';

const common: Suite = {
  ...fileCases,
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
