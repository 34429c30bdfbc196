/**
 * A directory that was removed here while a program has it open or stands in it. It has no name and no handle on the
 * server, and nobody else will ever see it: what programs do to it is done to what is remembered of it.
 */
import { FsError } from '../base/errno.js';
import { changedBy, isAllowed } from './attributes-behind.js';
import type { AttributeChanges, Attributes, Stat } from './operations.js';
import type { Parts } from './parts.js';

export function statRemoved(attributes: Attributes): Stat {
  return { attributes: { ...attributes, nlink: 0 }, attrTtl: 0, entryTtl: 0 };
}

/** EPERM for what the server would refuse of any file of the login. */
export function changeRemoved(
  { identity, clock }: Parts,
  attributes: Attributes,
  changes: AttributeChanges,
): Stat {
  if (!isAllowed(attributes, changes, identity)) throw new FsError('EPERM');
  return statRemoved(changedBy(attributes, changes, clock.now() / 1000));
}
