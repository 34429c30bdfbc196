/**
 * The command line, parsed by commander into a named union; which commands and flags there are says commands.ts.
 * sshfs's habits hold: options may stand before, between or after the operands, flags may be joined (`-fd`), and a
 * mount needs no subcommand. A host that is called like a subcommand is no problem, since a source always has a colon.
 */
import { Argument, Command, CommanderError, Option } from 'commander';
import { COMMANDS, type CommandName, type Command as CommandRow, type Shell, spellings } from './commands.js';
import { CommandError } from './exit.js';
import { commandHelp, HELP } from './help.js';

export interface MountArguments {
  readonly command: 'mount';
  /** A source, or the name of a mount of the configuration file. */
  readonly target: string;
  /** Null for the one that the configuration file has. */
  readonly mountpoint: string | null;
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

export interface StatusArguments {
  readonly command: 'status';
  /** Null for every mount. */
  readonly mountpoint: string | null;
  readonly form: 'text' | 'json' | 'metrics';
  /** Again and again. */
  readonly watch: boolean;
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

/** All that have a name in the configuration file. */
export interface MountAllArguments {
  readonly command: 'mount-all';
  readonly options: readonly string[];
  readonly verbose: boolean;
}

export interface SystemArguments {
  readonly command: 'system';
  readonly action: 'install' | 'remove';
  /** What stands for `/`. */
  readonly root: string;
}

export type Arguments =
  | MountArguments
  | MountAllArguments
  | UnmountArguments
  | { readonly command: 'unmount-all'; readonly force: boolean }
  | DoctorArguments
  | SystemArguments
  | { readonly command: 'list'; readonly json: boolean }
  | StatusArguments
  | { readonly command: 'refresh'; readonly path: string }
  | { readonly command: 'warm'; readonly path: string; readonly json: boolean }
  | { readonly command: 'log'; readonly mountpoint: string; readonly follow: boolean }
  | { readonly command: 'reconnect'; readonly mountpoint: string }
  | { readonly command: 'demo' }
  | { readonly command: 'completion'; readonly shell: Shell }
  /** Of the scripts that `completion` prints. */
  | { readonly command: 'complete'; readonly words: readonly string[] }
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
  readonly debug?: true;
  readonly verbose?: true;
  readonly all?: true;
}

interface StatusFlags {
  readonly json?: true;
  readonly metrics?: true;
  readonly watch?: true;
}

interface AllFlags {
  readonly force?: true;
  readonly all?: true;
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

/** Adds a command of the table to `program`; without a name, a mount is meant. */
function declare(program: Command, name: CommandName): Command {
  const row: CommandRow = COMMANDS[name];
  const command = program
    .command(name, { isDefault: name === 'mount' })
    .aliases(row.aliases ?? [])
    .configureHelp({ formatHelp: () => commandHelp(name) });
  for (const { syntax, place } of row.operands) {
    const argument = new Argument(syntax);
    command.addArgument(typeof place === 'string' ? argument : argument.choices([...place]));
  }
  for (const flag of row.flags) {
    const syntax = spellings(flag).join(', ') + (flag.place === undefined ? '' : ' <value>');
    const option = new Option(syntax).conflicts([...(flag.conflicts ?? [])]);
    command.addOption(flag.repeatable === true ? option.argParser(collect) : option);
  }
  return command;
}

function mountArguments(
  target: string | null,
  mountpoint: string | null,
  flags: MountFlags,
): MountArguments | MountAllArguments {
  const debug = flags.debug === true;
  const foreground = flags.f === true || debug;
  const verbose = flags.verbose === true || debug;
  const options = mountOptions(flags);
  checkAll(flags.all === true, target ?? undefined);
  if (target?.includes(':') && mountpoint === null) {
    throw new CommandError('usage', `where shall '${target}' be mounted? Write: remora ${target} MOUNTPOINT`);
  }
  if (target !== null) return { command: 'mount', target, mountpoint, options, foreground, debug, verbose };
  if (foreground) throw new CommandError('usage', 'only one mount can be in the foreground');
  return { command: 'mount-all', options, verbose };
}

/** One is named, or all are meant. */
function checkAll(isAll: boolean, operand: string | undefined): void {
  if (isAll && operand !== undefined)
    throw new CommandError('usage', `--all leaves no room for '${operand}'`);
  if (!isAll && operand === undefined) {
    throw new CommandError('usage', 'a mount is missing: name one, or --all (see: remora --help)');
  }
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
  const add = (name: CommandName) => declare(program, name);

  add('mount').action((target: string | undefined, mountpoint: string | undefined, flags: MountFlags) => {
    parsed = mountArguments(target ?? null, mountpoint ?? null, flags);
  });
  add('unmount').action((mountpoint: string | undefined, { force, all }: AllFlags) => {
    checkAll(all === true, mountpoint);
    const isForced = force === true;
    if (mountpoint === undefined) parsed = { command: 'unmount-all', force: isForced };
    else parsed = { command: 'unmount', mountpoint, force: isForced };
  });
  add('list').action((flags: { json?: true }) => {
    parsed = { command: 'list', json: flags.json === true };
  });
  add('status').action((mountpoint: string | undefined, { json, metrics, watch }: StatusFlags) => {
    const form = json ? 'json' : metrics ? 'metrics' : 'text';
    parsed = { command: 'status', mountpoint: mountpoint ?? null, form, watch: watch === true };
  });
  add('refresh').action((path: string) => {
    parsed = { command: 'refresh', path };
  });
  add('warm').action((path: string, flags: { json?: true }) => {
    parsed = { command: 'warm', path, json: flags.json === true };
  });
  add('log').action((mountpoint: string, flags: { follow?: true }) => {
    parsed = { command: 'log', mountpoint, follow: flags.follow === true };
  });
  add('reconnect').action((mountpoint: string) => {
    parsed = { command: 'reconnect', mountpoint };
  });
  add('doctor').action((target: string | undefined, flags: MountFlags & { json?: true; redact?: true }) => {
    const { json, redact } = flags;
    parsed = {
      command: 'doctor',
      target: target ?? null,
      options: mountOptions(flags),
      json: json === true,
      redact: redact === true,
    };
  });
  add('system').action((action: SystemArguments['action'], { root = '/' }: { root?: string }) => {
    parsed = { command: 'system', action, root };
  });
  add('demo').action(() => {
    parsed = { command: 'demo' };
  });
  add('completion').action((shell: Shell) => {
    parsed = { command: 'completion', shell };
  });

  const [first, ...others] = argv;
  if (first === '--complete') return { command: 'complete', words: others };
  if (first === undefined) throw new CommandError('usage', 'what shall be mounted? See: remora --help');
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
