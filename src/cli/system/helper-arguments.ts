/**
 * What mount(8) tells the helper of a filesystem, `mount.TYPE SOURCE DIRECTORY [-sfnv] [-N NAMESPACE] [-o OPTIONS]
 * [-t TYPE]`, and what it wants to hear from it. Some of these letters mean something else to the command itself.
 */
import { parseArgs } from 'node:util';
import type { MountArguments } from '../arguments.js';
import { CommandError, EXIT, type ExitName } from '../exit.js';

export interface HelperArguments extends MountArguments {
  /** `-f`: look at the arguments, and mount nothing. */
  readonly isFake: boolean;
}

const FORM = 'mount.fuse.remora SOURCE DIRECTORY [-sfnv] [-o OPTIONS] [-t TYPE]';

/** Throws a CommandError `usage`. */
export function parseHelperArguments(argv: readonly string[]): HelperArguments {
  const { values, positionals } = parse(argv);
  const [target, mountpoint, ...others] = positionals;
  if (target === undefined || mountpoint === undefined || others.length > 0) {
    throw new CommandError('usage', `a source and a directory are needed: ${FORM}`);
  }
  if (values.namespace !== undefined) {
    throw new CommandError(
      'usage',
      `another mount namespace is entered by: nsenter --mount=${values.namespace}`,
    );
  }
  return {
    command: 'mount',
    target,
    mountpoint,
    options: values.options ?? [],
    foreground: false,
    debug: false,
    verbose: values.verbose === true,
    isFake: values.fake === true,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        options: { type: 'string', short: 'o', multiple: true },
        fake: { type: 'boolean', short: 'f' },
        verbose: { type: 'boolean', short: 'v' },
        namespace: { type: 'string', short: 'N' },
        // There is no mtab, a mistake in an option is always told, and there is one type.
        'no-mtab': { type: 'boolean', short: 'n' },
        sloppy: { type: 'boolean', short: 's' },
        type: { type: 'string', short: 't' },
      },
    });
  } catch (error) {
    const [reason = ''] = error instanceof Error ? error.message.split(/\. /) : [];
    throw new CommandError('usage', `${reason.replace(/\.$/, '')}: ${FORM}`);
  }
}

/** The exit status of mount(8) that comes nearest. */
export function mountStatus(exit: ExitName): number {
  if (exit === 'ok') return EXIT.ok.code;
  if (exit === 'usage') return 1;
  return exit === 'interrupted' ? 8 : 32;
}
