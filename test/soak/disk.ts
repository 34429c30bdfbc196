/** The last look: what the workers claim, compared with what is on the server's disk, with no mount in between. */
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Claimed, type Deviation, deviation, type Found } from './claims.js';

/** What is missing or wrong in a worker's directory; one who claims something claims every name there. */
export async function lossesOf(directory: string, claims: readonly Claimed[]): Promise<readonly Deviation[]> {
  const compared = claims.map(async (claim) =>
    deviation([claim], claim.otherwise ?? [], await look(join(directory, claim.path))),
  );
  const known = new Set(claims.map(({ path }) => path.split('/')[0]));
  const strangers = known.size === 0 ? [] : (await readdir(directory)).filter((name) => !known.has(name));
  const losses = (await Promise.all(compared)).filter((loss) => loss !== null);
  return [...losses, ...strangers.map((name) => ({ what: `${name}: should not be there`, unless: null }))];
}

async function look(path: string): Promise<Found> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  });
  if (found === null) return { is: 'absent' };
  if (found.isDirectory()) return { is: 'directory' };
  if (found.isSymbolicLink()) return { is: 'link', target: await readlink(path) };
  return found.isFile() ? { is: 'file', bytes: await readFile(path) } : { is: 'other' };
}
