/** The text of `--help`: the shapes of a call, the options that most people need, and where the rest is. */
import {
  COMMAND_ROWS,
  COMMANDS,
  type Command,
  type CommandName,
  type Flag,
  GENERAL_FLAGS,
  spellings,
} from './commands.js';
import { EXIT } from './exit.js';

/** Columns of a terminal. */
const WIDTH = 80;

const exitRow = (name: keyof typeof EXIT) =>
  `  ${String(EXIT[name].code).padStart(3)}  ${EXIT[name].meaning}`;

const SHOWN_EXITS = [
  'ok',
  'failure',
  'usage',
  'mountpoint-not-empty',
  'refused',
  'host-key-unknown',
  'authentication',
  'remote-missing',
  'no-device',
  'not-mounted',
  'busy',
  'unsent',
] as const;

/** The options that most people need, shorter than the schema has them. */
const SHOWN_OPTIONS = [
  ['ro', 'read only'],
  ['idmap=user', 'show the files of the remote login as yours'],
  ['uid=<n>,gid=<n>,umask=<m>', 'show other owners and permissions'],
  ['allow_other', 'let other users in'],
  ['nonempty', 'mount over a directory that is not empty'],
  ['password_stdin', 'read the password from standard input'],
  ['StrictHostKeyChecking=<m>', 'yes, ask, accept-new or no'],
  ['max_conns=<n>', 'SSH connections: one for names, more for data'],
] as const;

/** `text` in lines of the terminal's width, each behind `indent`. */
function wrap(text: string, indent = ''): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > WIDTH) {
      lines.push(indent + line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, indent + line].join('\n');
}

/** `left` and `right` in two columns, on two lines where `left` is too long. */
function row(left: string, right: string, width: number): string {
  if (left.length < width) return `  ${left.padEnd(width)}${right}`;
  return `  ${left}\n  ${' '.repeat(width)}${right}`;
}

function usage({ usage: shapes }: Command): string[] {
  return shapes.map(([shape, does]) => row(`remora ${shape}`, does, 37));
}

function flagRows(flags: readonly Flag[], width: number): string[] {
  return flags.map(({ syntax, help }) => row(syntax, help, width));
}

/** Those that stand for others are not shown: -4 and -6 are one line, and of -s nobody needs to know. */
function mountFlags(): string[] {
  const shown = COMMANDS.mount.flags.filter(
    (flag: Flag) => !['-o', '-4', '-6', '-s'].includes(spellings(flag)[0] ?? ''),
  );
  return [
    ...flagRows(shown, 18),
    row('-4, -6', 'IPv4 or IPv6 only', 18),
    row('-o <opt>[,<opt>]', 'mount options, spelled as for sshfs; the most used:', 18),
    ...SHOWN_OPTIONS.map(([name, does]) => `       ${name.padEnd(27)}${does}`),
    ...flagRows(GENERAL_FLAGS, 18),
  ];
}

export const HELP = `Usage:
${COMMAND_ROWS.flatMap(([, command]) => usage(command)).join('\n')}

Options:
${mountFlags().join('\n')}

The mount also ends with: fusermount3 -u <mountpoint>, umount <mountpoint>.

All options: docs/OPTIONS.md or man remora. Exit codes (all: docs/COMMANDS.md):
${SHOWN_EXITS.map(exitRow).join('\n')}
`;

/** The page of one command. */
export function commandHelp(name: CommandName): string {
  if (name === 'mount') return HELP;
  const command: Command = COMMANDS[name];
  const flags = command.flags.length === 0 ? '' : `\n${flagRows(command.flags, 18).join('\n')}\n`;
  return `Usage:\n${usage(command).join('\n')}\n\n${command.text.map((text) => wrap(text)).join('\n\n')}\n${flags}`;
}
