/**
 * The command line, parsed by commander into a named union. sshfs's habits hold: options may stand before,
 * between or after the operands, flags may be joined (`-fd`), and a mount needs no subcommand. A host that
 * is called like a subcommand is no problem, since a target always has a colon.
 */
import { Command, CommanderError } from 'commander';
import { CommandError } from './exit.js';
import { HELP, UNMOUNT_HELP } from './help.js';

export interface MountArguments {
  readonly command: 'mount';
  readonly target: string;
  readonly mountpoint: string;
  /** What the short options stand for, where several may be given, the values of `-o`, and the other short ones. */
  readonly options: readonly string[];
  readonly foreground: boolean;
  readonly debug: boolean;
  readonly verbose: boolean;
}

export interface UnmountArguments {
  readonly command: 'unmount';
  readonly mountpoint: string;
  readonly force: boolean;
}

export interface DoctorArguments {
  readonly command: 'doctor';
  /** Null for this machine alone. */
  readonly target: string | null;
  readonly options: readonly string[];
  readonly json: boolean;
  /** Leave out names, addresses and keys. */
  readonly redact: boolean;
}

export type Arguments =
  | MountArguments
  | UnmountArguments
  | DoctorArguments
  | { readonly command: 'list'; readonly json: boolean }
  /** Of every mount, when none is named. */
  | { readonly command: 'status'; readonly mountpoint: string | null; readonly json: boolean }
  | { readonly command: 'reconnect'; readonly mountpoint: string }
  | { readonly command: 'demo' }
  /** Text that was asked for: help or the version. */
  | { readonly command: 'print'; readonly text: string };

interface MountFlags {
  readonly o?: readonly string[];
  readonly p?: string;
  readonly i?: readonly string[];
  readonly l?: string;
  readonly F?: string;
  readonly J?: string;
  readonly C?: true;
  readonly 4?: true;
  readonly 6?: true;
  readonly f?: true;
  readonly d?: true;
  readonly v?: true;
}

const collect = (value: string, previous: readonly string[] | undefined) => [...(previous ?? []), value];

/** `name=value` as one word of a `-o` string. */
const word = (name: string, value: string) => `${name}=${value.replace(/[\\,]/g, '\\$&')}`;

function mountOptions(flags: MountFlags): string[] {
  const options = [...(flags.i ?? []).map((file) => word('IdentityFile', file)), ...(flags.o ?? [])];
  if (flags.p !== undefined) options.push(word('port', flags.p));
  if (flags.l !== undefined) options.push(word('User', flags.l));
  if (flags.F !== undefined) options.push(word('ssh_config', flags.F));
  if (flags.J !== undefined) options.push(word('ProxyJump', flags.J));
  if (flags.C) options.push('compression=yes');
  if (flags[4]) options.push('AddressFamily=inet');
  if (flags[6]) options.push('AddressFamily=inet6');
  return options;
}

/** The flags that say how a host is reached, which every command that reaches one takes. */
function withMountFlags(command: Command): Command {
  return command
    .option('-o <options>', '', collect)
    .option('-p <port>')
    .option('-i <file>', '', collect)
    .option('-l <user>')
    .option('-F <file>')
    .option('-J <hosts>')
    .option('-C')
    .option('-4')
    .option('-6');
}

/** The arguments after `remora`, understood. Throws a CommandError `usage`. */
export function parseArguments(argv: readonly string[], version: string): Arguments {
  let parsed: Arguments | null = null;
  let printed = '';

  const program = new Command('remora')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        printed += text;
      },
      writeErr: () => {},
    })
    .configureHelp({ formatHelp: () => HELP })
    .version(version, '-V, --version')
    .helpCommand(false);

  withMountFlags(program.command('mount', { isDefault: true }))
    .argument('<target>')
    .argument('<mountpoint>')
    .option('-f')
    .option('-d, --debug')
    .option('-v, --verbose')
    .option('-s')
    .action((target: string, mountpoint: string, flags: MountFlags & { debug?: true; verbose?: true }) => {
      const debug = flags.debug === true;
      parsed = {
        command: 'mount',
        target,
        mountpoint,
        options: mountOptions(flags),
        foreground: flags.f === true || debug,
        debug,
        verbose: flags.verbose === true || debug,
      };
    });

  program
    .command('unmount')
    .alias('umount')
    .configureHelp({ formatHelp: () => UNMOUNT_HELP })
    .argument('<mountpoint>')
    .option('-f, --force')
    .action((mountpoint: string, flags: { force?: true }) => {
      parsed = { command: 'unmount', mountpoint, force: flags.force === true };
    });

  program
    .command('list')
    .option('--json')
    .action((flags: { json?: true }) => {
      parsed = { command: 'list', json: flags.json === true };
    });

  program
    .command('status')
    .argument('[mountpoint]')
    .option('--json')
    .action((mountpoint: string | undefined, flags: { json?: true }) => {
      parsed = { command: 'status', mountpoint: mountpoint ?? null, json: flags.json === true };
    });

  program
    .command('reconnect')
    .argument('<mountpoint>')
    .action((mountpoint: string) => {
      parsed = { command: 'reconnect', mountpoint };
    });

  withMountFlags(program.command('doctor'))
    .argument('[target]')
    .option('--json')
    .option('--redact')
    .action((target: string | undefined, flags: MountFlags & { json?: true; redact?: true }) => {
      const { json, redact } = flags;
      parsed = {
        command: 'doctor',
        target: target ?? null,
        options: mountOptions(flags),
        json: json === true,
        redact: redact === true,
      };
    });

  program.command('demo').action(() => {
    parsed = { command: 'demo' };
  });

  if (argv.length === 0) throw new CommandError('usage', 'what shall be mounted? See: remora --help');
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { command: 'print', text: printed };
    throw new CommandError('usage', `${sentence(error.message)} (see: remora --help)`);
  }
  if (parsed === null) throw new CommandError('usage', 'nothing to do (see: remora --help)');
  return parsed;
}

/** commander's message without its prefix and on one line. */
function sentence(message: string): string {
  return message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
}
