/** How npm adds something to this installation: it lies among the global packages, in a project, or is a clone. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The directory of this package. */
const HERE = fileURLToPath(new URL('../..', import.meta.url));

/**
 * The command that installs `what` where the package in `directory` finds it. npm has a package.json beside the
 * `node_modules` of a project, and none beside the global ones.
 */
export function npmInstall(
  what: string,
  directory = HERE,
  exists: (path: string) => boolean = existsSync,
): string {
  const modules = dirname(directory);
  const isGlobal = basename(modules) === 'node_modules' && !exists(join(dirname(modules), 'package.json'));
  return `npm install ${isGlobal ? '-g ' : ''}${what}`;
}
