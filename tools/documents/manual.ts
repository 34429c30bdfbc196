/** man/remora.1. */
import { readFileSync } from 'node:fs';
import { COMMAND_ROWS, COMMANDS, type Command, type Flag, GENERAL_FLAGS } from '../../src/cli/commands.js';
import { EXIT } from '../../src/cli/exit.js';
import { foreignRows, GROUPS, keywordRows, type OptionRow, optionRows, type ReasonRow } from './options.js';
import { bold, example, item, paragraph, plain, prose, section, subsection } from './roff.js';
import { reasonOf } from './sshfs-options.js';

const { version, description } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly version: string;
  readonly description: string;
};

const flagItem = ({ syntax, help }: Flag) => item(bold(syntax), prose(help));

function command([name, row]: readonly [string, Command]): string[] {
  const shapes = row.usage.map(([shape, does]) => item(bold(`remora ${shape}`), prose(does)));
  const flags = name === 'mount' ? [] : row.flags.map(flagItem);
  return [subsection(name), ...shapes, ...row.text.map(paragraph), ...flags];
}

function option({ spellings, value, fallback, help, more }: OptionRow): string {
  const facts = [value, fallback === '' ? '' : `default ${fallback}`]
    .filter((fact) => fact !== '')
    .join('; ');
  const lines = [prose(help), facts === '' ? '' : prose(`(${facts})`)].filter((line) => line !== '');
  if (more !== null) lines.push('.IP', prose(more));
  return item(spellings.map(bold).join(', '), lines.join('\n'));
}

const reasons = (rows: readonly ReasonRow[]) =>
  rows.map(([reason, names]) => item(names.map(bold).join(', '), prose(reasonOf(reason))));

const EXAMPLES: readonly (readonly [string, string])[] = [
  ['The home directory of a login:', 'remora me@server: ~/mnt'],
  [
    'Read-only, at another port, with the files shown as yours:',
    'remora server:/srv ~/mnt -p 2222 -o ro,idmap=user',
  ],
  ['Everything is on the server when this returns:', 'remora unmount ~/mnt'],
  ['Why it does not work:', 'remora doctor me@server'],
];

const FILES: readonly (readonly [string, string])[] = [
  ['~/.config/remora/config.toml', 'the configuration of the user ($XDG_CONFIG_HOME counts)'],
  ['/etc/remora/config.toml', 'the configuration of the machine'],
  ['~/.ssh/config, ~/.ssh/known_hosts', "ssh's own files count as they do for ssh"],
  ['$XDG_STATE_HOME/remora', 'logs of mounts in the background; ~/.local/state/remora by default'],
  ['$XDG_RUNTIME_DIR/remora', 'control sockets of the mounts; /tmp/remora-UID where it is not set'],
];

const CONFIGURATION = [
  '[defaults]',
  'idmap = "user"',
  '',
  '[host."*.example.net"]',
  'ServerAliveInterval = 30',
  '',
  '[mount.work]',
  'source = "me@nas:src"',
  'mountpoint = "~/work"',
  'ro = true',
];

export function manual(): string {
  const lines = [
    '.\\" Made by "npm run docs" from the tables of the program.',
    `.TH REMORA 1 "" "Remora ${version}" "User Commands"`,
    '.nh',
    '.ad l',
    section('name'),
    `remora \\- ${plain(description.charAt(0).toLowerCase() + description.slice(1))}`,
    section('synopsis'),
    ...COMMAND_ROWS.flatMap(([, { usage }]) =>
      usage.map(([shape]) => `${bold('remora')} ${plain(shape)}`),
    ).flatMap((line, index) => (index === 0 ? [line] : ['.br', line])),
    section('description'),
    paragraph(
      'Remora mounts a directory of a remote machine over SSH, so that every local program can use it as if it were local. It takes the place of sshfs: the same command line, the same options, any SSH server.',
    ).replace(/^\.PP\n/, ''),
    section('commands'),
    ...COMMAND_ROWS.flatMap(command),
    section('flags of a mount'),
    ...[...COMMANDS.mount.flags, ...GENERAL_FLAGS].map(flagItem),
    section('options'),
    'Given with \\fB\\-o\\fP, separated by commas, or in the configuration file.',
    ...GROUPS.flatMap((group) => [subsection(group), ...optionRows(group).map(option)]),
    subsection('Accepted without effect'),
    ...reasons(foreignRows('ignored')),
    subsection('Refused'),
    ...reasons(foreignRows('refused')),
    subsection('Other words of ssh_config'),
    ...reasons([...keywordRows('resolution'), ...keywordRows('openssh'), ...keywordRows('none')]),
    section('configuration file'),
    'Options for every mount, for hosts, and mounts with a name, in TOML:',
    example(CONFIGURATION),
    paragraph(
      'With this, `remora work` mounts. What counts first: the command line, the named mount, the sections for its host, the defaults, ssh_config. A file that others may change is refused.',
    ),
    section('exit status'),
    ...Object.values(EXIT).map(({ code, meaning }) => item(bold(String(code)), prose(meaning))),
    section('files'),
    ...FILES.map(([path, what]) => item(bold(path), prose(what))),
    section('examples'),
    ...EXAMPLES.flatMap(([what, line]) => [paragraph(what), example([line])]),
    section('see also'),
    '\\fBssh_config\\fP(5), \\fBfusermount3\\fP(1), \\fBmount\\fP(8)',
  ];
  return `${lines.join('\n')}\n`;
}
