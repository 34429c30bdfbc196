/**
 * Every command with its operands and flags, once: the parser, the help, the manual and the completions are made from
 * this table. What a flag does to a mount is an option of the schema (config/schema.ts).
 */

/** What stands in the place of an operand or of a flag's value, for completion. */
export type Place =
  /** A host with a colon, or the name of a mount. */
  | 'source'
  | 'mountpoint'
  /** A file or a directory of a mount, or the name of one. */
  | 'content'
  | 'directory'
  | 'file'
  /** A host as ssh has it. */
  | 'host'
  /** Words of `-o`. */
  | 'options'
  | 'anything'
  /** One of these words. */
  | readonly string[];

export interface Operand {
  /** As commander has it: `<needed>` or `[optional]`. */
  readonly syntax: string;
  readonly place: Place;
}

export interface Flag {
  /** As commander has it: `-f, --force` or `-p <port>`. */
  readonly syntax: string;
  readonly help: string;
  /** What its value is; absent for a flag without. */
  readonly place?: Place;
  readonly repeatable?: true;
  /** Long names, without dashes, of flags that it cannot stand beside. */
  readonly conflicts?: readonly string[];
}

export interface Command {
  readonly aliases?: readonly string[];
  readonly operands: readonly Operand[];
  readonly flags: readonly Flag[];
  /** The shapes of a call without the program's name, each with what it does. */
  readonly usage: readonly (readonly [shape: string, does: string])[];
  /** Paragraphs for the command's own help and for the manual. */
  readonly text: readonly string[];
}

/** The shells that complete. */
const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

const JSON_FLAG: Flag = { syntax: '--json', help: 'print JSON, for programs' };

/** Flags that say how a host is reached. */
const CONNECTING: readonly Flag[] = [
  { syntax: '-p <port>', help: 'port of the SSH server, as -o port=', place: 'anything' },
  { syntax: '-l <user>', help: 'name to log in with, where the source names none', place: 'anything' },
  { syntax: '-i <file>', help: 'private key; may be repeated', place: 'file', repeatable: true },
  { syntax: '-J <host>[,...]', help: 'hosts to go through, as -o ProxyJump=', place: 'host' },
  { syntax: '-F <file>', help: 'configuration of ssh instead of yours', place: 'file' },
  { syntax: '-4', help: 'IPv4 only' },
  { syntax: '-6', help: 'IPv6 only' },
  { syntax: '-C', help: 'compress' },
];

const OPTIONS: Flag = {
  syntax: '-o <opt>[,<opt>]',
  help: 'options of the mount, spelled as for sshfs',
  place: 'options',
  repeatable: true,
};

const ALL: Flag = { syntax: '-a, --all', help: 'all of them' };

const NAME_DOES = 'Instead of the mount point the name of a mount of the configuration file does as well.';

const WHOLE_MOUNT = 'The name of a mount of the configuration file stands for all of it.';

export const COMMANDS = {
  mount: {
    operands: [
      { syntax: '[source]', place: 'source' },
      { syntax: '[mountpoint]', place: 'directory' },
    ],
    flags: [
      OPTIONS,
      ...CONNECTING,
      { syntax: '-f', help: 'stay in the foreground; Ctrl-C unmounts' },
      { syntax: '-d, --debug', help: 'debug: foreground, and a log of every layer' },
      { syntax: '-v, --verbose', help: 'say what is being done' },
      { syntax: '-s', help: "accepted for sshfs's sake, without effect" },
      { ...ALL, help: 'all mounts of the configuration file' },
    ],
    usage: [
      ['[user@]host:[directory] <mountpoint> [options]', 'mount a remote directory'],
      ['<name> [options]', 'mount what your file calls by that name'],
      ['mount --all', 'all that the configuration file names'],
    ],
    text: [
      'Connects, asks for a password or about an unknown host key where that is needed, mounts, and returns when the mount can be used. Without a directory it is the home directory of the login. Options may stand before, between or after the operands.',
      'A mount that has a name in the configuration file needs no more than the name; options on the command line count before those of the file. A mount that is called like a command is reached by "remora mount <name>". With --all those that are mounted already, and those with noauto, are left out; each failure is told, and the exit code is that of the first one.',
    ],
  },
  unmount: {
    aliases: ['umount'],
    operands: [{ syntax: '[mountpoint]', place: 'mountpoint' }],
    flags: [
      { syntax: '-f, --force', help: 'unmount although it is in use, or anything hangs' },
      { ...ALL, help: 'all mounts of yours' },
    ],
    usage: [
      ['unmount <mountpoint> [--force]', 'send what was written, then unmount'],
      ['unmount --all [--force]', 'all your mounts'],
    ],
    text: [
      'Sends everything that was written to the server, unmounts, and returns when the mount and its process are gone. A mount that programs still use stays, and the programs are named. ' +
        NAME_DOES,
      'With --force it unmounts although the mount is in use, or the server or anything else hangs; programs that still use it get errors, and data that could not be sent is named.',
    ],
  },
  list: {
    operands: [],
    flags: [JSON_FLAG],
    usage: [['list [--json]', 'your mounts']],
    text: [
      'One line a mount: what, where, its state, for how long, and its process; in front its name, if the configuration file has one for a mount there.',
    ],
  },
  status: {
    operands: [{ syntax: '[mountpoint]', place: 'mountpoint' }],
    flags: [
      { syntax: '-w, --watch', help: 'go on, once a second, until Ctrl-C' },
      { ...JSON_FLAG, conflicts: ['metrics'] },
      { syntax: '--metrics', help: 'print the text format of Prometheus', conflicts: ['watch'] },
    ],
    usage: [['status [<mountpoint>] [--watch] [--json | --metrics]', 'how they are connected, what they do']],
    text: [`How one mount is, or each of yours. Nothing is asked of the server. ${NAME_DOES}`],
  },
  refresh: {
    operands: [{ syntax: '<path>', place: 'content' }],
    flags: [],
    usage: [['refresh <path>', 'forget what is cached of a tree']],
    text: [
      'Drops what is cached of a directory and all below it, or of a file, so that what others changed on the server shows at once. What was written and not sent yet stays. ' +
        WHOLE_MOUNT,
    ],
  },
  warm: {
    operands: [{ syntax: '<path>', place: 'content' }],
    flags: [JSON_FLAG],
    usage: [['warm <path> [--json]', 'fetch a tree into the cache']],
    text: [
      'Reads a directory and all below it, or a file, so that programs find it in the cache. Files that do not fit into it any more are left out, and counted. ' +
        WHOLE_MOUNT,
    ],
  },
  log: {
    operands: [{ syntax: '<mountpoint>', place: 'mountpoint' }],
    flags: [{ syntax: '-f, --follow', help: 'go on with what is added, until Ctrl-C' }],
    usage: [['log <mountpoint> [-f]', 'the log of a mount']],
    text: [`What a mount has logged, also after it has ended. ${NAME_DOES}`],
  },
  reconnect: {
    operands: [{ syntax: '<mountpoint>', place: 'mountpoint' }],
    flags: [],
    usage: [['reconnect <mountpoint>', 'connect again now, with your answers']],
    text: [
      'Connects again now instead of at the next attempt, and asks here for a password, a code or about a host key. ' +
        NAME_DOES,
    ],
  },
  doctor: {
    operands: [{ syntax: '[target]', place: 'source' }],
    flags: [
      JSON_FLAG,
      { syntax: '--redact', help: 'leave out names, addresses and keys' },
      OPTIONS,
      ...CONNECTING,
    ],
    usage: [
      ['doctor [[user@]host[:directory]] [--json] [--redact]', 'why it does not work, and what mends it'],
    ],
    text: [
      'Looks at this machine, and then at the host, from its configuration to the directory, and says first what the likely cause is and what to run. Nothing is changed on either side.',
    ],
  },
  system: {
    operands: [{ syntax: '<action>', place: ['install', 'remove'] }],
    flags: [{ syntax: '--root <directory>', help: 'what stands for /, for packagers', place: 'directory' }],
    usage: [['system install|remove [--root <directory>]', 'make mount(8) and fstab know Remora']],
    text: [
      'Installs the mount helper, so that mount -t fuse.remora, fstab, systemd and autofs can mount, and links the manual and the completions; or removes what was installed. It says what it does, file by file.',
    ],
  },
  demo: {
    operands: [],
    flags: [],
    usage: [['demo', 'a guided tour that needs no server']],
    text: ['Starts a small SFTP server on the loopback address, mounts it, and leaves nothing behind.'],
  },
  completion: {
    operands: [{ syntax: '<shell>', place: SHELLS }],
    flags: [],
    usage: [['completion bash|zsh|fish', 'what makes a shell complete all this']],
    text: [
      'Prints a script that makes the shell complete commands, flags, options and their values, hosts and mounts.',
      'bash: remora completion bash > ~/.local/share/bash-completion/completions/remora',
      'zsh: remora completion zsh > _remora, in a directory of $fpath',
      'fish: remora completion fish > ~/.config/fish/completions/remora.fish',
    ],
  },
} as const satisfies Record<string, Command>;

export type CommandName = keyof typeof COMMANDS;

/** The rows with their names, in the order of the table; each may have whatever a `Command` may. */
export const COMMAND_ROWS: readonly (readonly [CommandName, Command])[] = Object.entries(
  COMMANDS,
) as readonly (readonly [CommandName, Command])[];

/** Flags of the program itself. */
export const GENERAL_FLAGS: readonly Flag[] = [
  { syntax: '-V, --version', help: 'the version' },
  { syntax: '-h, --help', help: 'this page, or that of a command' },
];

/** `-f, --force` as ['-f', '--force']; a value's place is left out. */
export function spellings({ syntax }: Flag): readonly string[] {
  return syntax.replace(/ [<[].*/, '').split(', ');
}
