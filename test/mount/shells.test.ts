/** The completions in real shells, the manual in a real man, and sshfs's own list of its options. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SSHFS_OPTIONS } from '../../tools/documents/sshfs-options.js';
import { PROGRAM_PATH } from '../support/packages.js';
import { type Exchange, runOnTerminal } from '../support/pty.js';
import { Remora } from '../support/remora.js';
import { must, run } from '../support/run.js';
import { Scope } from '../support/scope.js';

const ROOT = resolve(import.meta.dirname, '..', '..');

let scope: Scope;
let remora: Remora;
let environment: Record<string, string>;

beforeAll(async () => {
  scope = await Scope.open('shells');
  remora = await Remora.create(scope);
  const bin = await scope.makeDirectory('bin');
  const quoted = remora.program.map((word) => `'${word}'`).join(' ');
  await writeFile(join(bin, 'remora'), `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 });
  environment = { ...remora.environment, PATH: `${bin}:${PROGRAM_PATH}`, PS1: '$ ' };
  await mkdir(join(remora.home, '.ssh'));
  await writeFile(join(remora.home, '.ssh', 'config'), 'Host nas\nInclude more\n');
  await writeFile(join(remora.home, '.ssh', 'more'), 'Host deep *.never\n');
  await mkdir(join(remora.home, '.config', 'remora'), { recursive: true });
  await writeFile(
    join(remora.home, '.config', 'remora', 'config.toml'),
    '[mount.project]\nsource = "nas:"\nmountpoint = "~/p"\n',
  );
  await mkdir(join(remora.home, 'place'));
  await writeFile(join(remora.home, 'key one'), '');
});
afterAll(async () => {
  await scope?.close();
});

/** What is typed before Tab, and what stands there after it. */
const LINES: readonly (readonly [typed: string, completed: string])[] = [
  ['remora unm', 'remora unmount '],
  ['remora dee', 'remora deep:'],
  ['remora bob@n', 'remora bob@nas:'],
  ['remora pro', 'remora project '],
  ['remora nas: pla', 'remora nas: place/'],
  ['remora nas: place -o ro,idmap=u', 'remora nas: place -o ro,idmap=user '],
  ['remora nas: place -o ro,dirty', 'remora nas: place -o ro,dirty_limit='],
  ['remora nas: place -ono_rec', 'remora nas: place -ono_reconnect '],
  ['remora nas: place -i ke', 'remora nas: place -i key\\ one '],
  ['remora nas: place -o IdentityFile=ke', 'remora nas: place -o IdentityFile=key\\ one '],
  ['remora unmount --fo', 'remora unmount --force '],
  ['remora unmount pro', 'remora unmount project '],
  ['remora completion z', 'remora completion zsh '],
];

/** Types each line and Tab into a shell, waits for what it becomes, and empties the line by Ctrl-U. */
async function tab(shell: readonly string[], load: string): Promise<void> {
  const talk: Exchange[] = [{ expect: '$ ', answer: `${load}; echo lo''aded\n` }];
  let expected = 'loaded';
  for (const [typed, completed] of LINES) {
    talk.push({ expect: expected, answer: `\x15${typed}\t` });
    expected = completed;
  }
  talk.push({ expect: expected, answer: '\x15exit 0\n' });
  const { stdout, code } = await runOnTerminal(shell, talk, { env: environment, cwd: remora.home });
  expect(stdout).not.toContain('never asked');
  expect(code, stdout).toBe(0);
}

describe('completion', () => {
  it('in bash', async () => {
    await tab(['bash', '--norc', '--noprofile', '-i'], 'eval "$(remora completion bash)"');
  });

  it('in zsh, from a directory of fpath', async () => {
    const functions = await scope.makeDirectory('zfunc');
    await writeFile(
      join(functions, '_remora'),
      await must('remora', ['completion', 'zsh'], { env: environment }),
    );
    const load = `fpath=(${functions} $fpath); autoload -U compinit; compinit -D`;
    await tab(['zsh', '-f', '-i'], load);
  });

  it('in fish', async () => {
    const asked = LINES.map(([typed]) => `complete -C '${typed}'; echo ===`).join('\n');
    const program = `remora completion fish | source\n${asked}`;
    const output = await must('fish', ['--no-config', '-c', program], { env: environment, cwd: remora.home });
    const answers = output
      .split('===\n')
      .slice(0, -1)
      .map((text) => text.trimEnd().replace(/\t.*/, ''));
    const ends = LINES.map(([, completed]) => completed.trimEnd().replace('\\ ', ' '));
    expect(answers).toHaveLength(LINES.length);
    for (const [index, answer] of answers.entries()) expect(ends[index]?.endsWith(answer), answer).toBe(true);
    expect(answers).not.toContain('');
  });
});

it('the manual is a page without a warning', async () => {
  const file = join(ROOT, 'man', 'remora.1');
  const page = await run('man', ['--warnings', '-l', file], {
    env: { MANWIDTH: '78', MAN_KEEP_FORMATTING: '' },
  });
  expect(page).toMatchObject({ code: 0, stderr: '' });
  for (const words of [
    'remora [user@]host:[directory]',
    'dcache_timeout=SECONDS',
    'EXIT STATUS',
    '[mount.work]',
  ]) {
    expect(page.stdout).toContain(words);
  }
  const strict = await run('groff', ['-ww', '-man', '-Tutf8', file]);
  expect(strict).toMatchObject({ code: 0, stderr: '' });
});

it("OPTIONS.md leaves out none of sshfs's options", async () => {
  const { stdout } = await run('sshfs', ['-h']);
  const listed = [...stdout.matchAll(/-o (\S+)/g)].flatMap(([, word = '']) => {
    const [, before = '', choice = '', after = ''] = /^([a-z]*?_?)?\{(.*)\}(.*)$/.exec(word) ?? [];
    const words = choice === '' ? [word] : choice.split(',').map((each) => before + each + after);
    return words.flatMap((each) =>
      each.startsWith('[no]') ? [each.slice(4), `no${each.slice(4)}`] : [each],
    );
  });
  const names = listed
    .map((word) => word.replace(/[=,].*/, ''))
    .filter((name) => name !== 'opt' && name !== 'SSHOPT');
  expect(names.length).toBeGreaterThan(40);
  const known = new Set(
    SSHFS_OPTIONS.flatMap(({ words }) => words.split(' ').map((word) => word.replace(/=.*/, ''))),
  );
  expect(names.filter((name) => !known.has(name))).toEqual([]);
});
