/**
 * `remora completion SHELL` prints the shell's part, a file of the package; that runs `remora --complete SHELL …` at
 * every Tab. An answer is lines of `word TAB note`, and `:file` or `:directory`, TAB, and what stands before the path.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { allMounts } from '../../config/file.js';
import { findFuseMounts } from '../../fuse/mount/mounts.js';
import type { Shell } from '../commands.js';
import { isRemora } from '../discover.js';
import { readConfiguration } from '../named.js';
import { knownHosts } from './hosts.js';
import { type Completion, complete, type Sources } from './words.js';

const FILES: Readonly<Record<Shell, string>> = { bash: 'remora.bash', zsh: '_remora', fish: 'remora.fish' };

export function completionScript(shell: Shell): string {
  return readFileSync(new URL(`../../../completions/${FILES[shell]}`, import.meta.url), 'utf8');
}

/** The words of a line of bash, unquoted; the last one is empty behind a space. */
export function splitLine(line: string): readonly string[] {
  const words: string[] = [];
  for (const [, word = ''] of line.matchAll(
    /((?:[^\s\\"']|\\.|"(?:[^"\\]|\\.)*"?|'[^']*'?|\\$)*)(?:\s+|$)/gs,
  )) {
    words.push(word.replace(/\\(.)|["']|\\$/gs, '$1'));
  }
  // The end of the text is matched once more, empty, unless the line ends within a word.
  return /\s$/.test(line) || line === '' ? words : words.slice(0, -1);
}

/** bash replaces only `current`, the end of `word` behind one of its word breaks, and quotes nothing. */
function forBash(text: string, word: string, current: string): string {
  const start = word.endsWith(current) ? word.length - current.length : 0;
  return text.slice(start).replace(/[^\w@%+=:,./~-]/g, '\\$&');
}

function format({ candidates, paths }: Completion, shown: (text: string) => string): string {
  const lines = candidates.map(({ text, note }) => `${shown(text)}\t${note}`);
  if (paths !== null) lines.push(`:${paths.kind}\t${paths.prefix}`);
  return lines.map((line) => `${line}\n`).join('');
}

/** @param request what stands behind `--complete`; of bash the line up to the cursor and what it will replace, else words */
export async function answer(
  request: readonly string[],
  env: NodeJS.ProcessEnv,
  uid: number,
): Promise<string> {
  const [shell, ...rest] = request;
  const sources = sourcesOf(env, uid);
  if (shell !== 'bash') return format(await complete(rest, sources), (text) => text);
  const [line = '', current = ''] = rest;
  const words = splitLine(line).slice(1);
  const word = words.at(-1) ?? '';
  const [replaced = ''] = splitLine(current);
  return format(await complete(words, sources), (text) => forBash(text, word, replaced));
}

function sourcesOf(env: NodeJS.ProcessEnv, uid: number): Sources {
  return {
    hosts: () => knownHosts(env.HOME || homedir()),
    mountpoints: async () => {
      const mounts = await findFuseMounts();
      const own = mounts.filter((mount) => isRemora(mount) && (mount.userId === uid || uid === 0));
      return own.map(({ mountpoint }) => mountpoint);
    },
    names: async () => {
      // A mistake in the file is told when it matters.
      const files = await readConfiguration(env, uid).catch(() => []);
      return allMounts(files).map(({ name }) => name);
    },
  };
}
