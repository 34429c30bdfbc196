/**
 * What mount(8) runs for the types `fuse.remora` and `remora`, so for lines of fstab and for autofs: the command, with
 * the arguments and the exit status of a mount helper. `remora system install` puts it where mount(8) looks.
 */
import { parseOptions } from '../../config/parse.js';
import { parseTarget } from '../../config/target.js';
import { runProgram, tell } from '../entry.js';
import type { ExitName } from '../exit.js';
import { mount } from '../mount.js';
import { mountStatus, parseHelperArguments } from './helper-arguments.js';

async function help(): Promise<ExitName> {
  const args = parseHelperArguments(process.argv.slice(2));
  if (!args.isFake) return mount(args, process.env, process.getuid?.() ?? 0, tell);
  parseTarget(args.target);
  parseOptions(args.options);
  return 'ok';
}

await runProgram(help, mountStatus);
