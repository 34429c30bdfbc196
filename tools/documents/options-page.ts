/** docs/OPTIONS.md. */
import { foreignRows, GROUPS, keywordRows, type OptionRow, optionRows, type ReasonRow } from './options.js';
import { reasonOf, SSHFS_OPTIONS, type SshfsOption, verdictOn } from './sshfs-options.js';

const cell = (text: string) => (text === '' ? '–' : text.replaceAll('|', '\\|'));
const code = (text: string) => `\`${text}\``;
const codes = (words: readonly string[]) => words.map(code).join(', ');

function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(heading), `|${'---|'.repeat(heading.length)}`, ...rows.map(line)].join('\n');
}

/** Plain text of the program: what it has between single quotes or angle brackets must not look like markup. */
const prose = (text: string) => text.replace(/[<*]/g, '\\$&');

function optionCells({ spellings, value, fallback, origin, help }: OptionRow): readonly string[] {
  return [codes(spellings), value, fallback === '' ? '' : code(fallback), origin, prose(help)];
}

function group(name: (typeof GROUPS)[number]): string {
  const rows = optionRows(name);
  const heading = ['option', 'value', 'default', 'from', 'what it does'];
  const more = rows.flatMap((row) =>
    row.more === null ? [] : [`${code(row.spellings[0] ?? '')}: ${prose(row.more)}`],
  );
  return [`## ${name}`, table(heading, rows.map(optionCells)), ...more].join('\n\n');
}

function sshfsCells({ words, does, note }: SshfsOption): readonly string[] {
  const all = words.split(' ');
  const verdicts = all.map((word) => ({ word, verdict: prose(verdictOn(word)) }));
  const isOne = new Set(verdicts.map(({ verdict }) => verdict)).size === 1;
  const verdict = isOne
    ? (verdicts[0]?.verdict ?? '')
    : verdicts.map((each) => `${code(shown(each.word))} ${each.verdict}`).join('; ');
  return [codes(all.map(shown)), does, note === undefined ? verdict : `${verdict}; ${note}`];
}

/** An example with its value only where there are few. */
const shown = (word: string) => (/^(idmap|modules)=/.test(word) ? word : word.replace(/=.*/, '='));

const reasons = (rows: readonly ReasonRow[]) =>
  table(
    ['words', 'why'],
    rows.map(([reason, names]) => [codes(names), prose(reasonOf(reason))]),
  );

export function optionsPage(): string {
  return `# Options

<!-- Made by \`npm run docs\` from the tables that parse the options (src/config). -->

    remora host:dir mountpoint -o name,name=value -o name=value

What stands here is what the program knows: the same tables parse the options. An option that is not here is refused, and
the nearest one is named. Words of ssh are known in any case (\`identityfile=\` is \`IdentityFile=\`), others as they stand. In a
value, \`\\,\` is a comma and \`\\\\\` a backslash. Of an option given twice the later one counts; where it may be repeated, the
values add up. Sizes take K, M or G (powers of 1024), and the times of ssh's words also s, m, h, d, w (\`1m30s\`).

Where an option can come from, what counts first in front:

1. the command line
2. the named mount (\`[mount.NAME]\`) of the [configuration file](COMMANDS.md#the-configuration-file)
3. its sections for the host (\`[host."PATTERN"]\`)
4. its \`[defaults]\`
5. ssh's configuration, for the words of ssh
6. the default below

"From" says who else has the option: the same spelling means the same there. Where the default is –, there is none, or
the text says what holds instead.

${GROUPS.map(group).join('\n\n')}

## Every option of sshfs

| option of sshfs | what it does there | in Remora |
|---|---|---|
${SSHFS_OPTIONS.map((option) => `| ${sshfsCells(option).map(cell).join(' | ')} |`).join('\n')}
| \`SSHOPT=VAL\` | some sixty words of ssh_config | all of them, see below |
| \`-p\`, \`-C\`, \`-F\`, \`-f\`, \`-d\`, \`-v\`, \`-s\`, \`-h\`, \`-V\` | as options | yes; \`-s\` without effect |
| \`-1\` | version 1 of the SSH protocol | refused |

## Accepted without effect

${reasons(foreignRows('ignored'))}

## Refused

${reasons(foreignRows('refused'))}

## Words of ssh_config

Every word that ssh takes after \`-o\` is accepted. Those with an effect of their own are in the tables above. Of the others:

${reasons([...keywordRows('resolution'), ...keywordRows('openssh'), ...keywordRows('none')])}
`;
}
