/**
 * `remora system install` puts into the system what cannot live in a package of npm: the helper where mount(8) looks for
 * it, the manual and the completions where man and the shells do. `remove` takes away exactly that: the helper is known
 * by its text, the others by being absolute links into this package, or into where it was before (npm's own links are
 * relative); what somebody else has put there stays.
 */
import { lstat, mkdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SystemArguments } from '../arguments.js';
import { CommandError } from '../exit.js';

const PACKAGE = fileURLToPath(new URL('../../..', import.meta.url));
const HELPER = fileURLToPath(new URL('./mount-helper.js', import.meta.url));

/** The second line of the helper, behind the one with the program that runs it. */
const MARK =
  '// The mount helper of Remora, made by `remora system install`; `remora system remove` removes it.';

/** A file of the system: a link to `target`, or a program with `text`. */
type Entry = { readonly path: string } & ({ readonly target: string } | { readonly text: string });

/** What there is at the place of an entry. */
type Found = 'nothing' | 'same' | 'older' | 'foreign';

/** Absolute paths, since mount(8) leaves no PATH. */
function launcher(node: string, helper: string): string {
  const failed = '(error) => { console.error("remora: " + error.message); process.exitCode = 32; }';
  return `#!${node}\n${MARK}\nimport(${JSON.stringify(helper)}).catch(${failed});\n`;
}

/** mount(8) looks for helpers in /sbin alone; the other places are those for what is not the distribution's. */
function entries(root: string): Entry[] {
  const link = (path: string, source: string) => ({ path: join(root, path), target: join(PACKAGE, source) });
  return [
    { path: join(root, 'sbin/mount.fuse.remora'), text: launcher(process.execPath, HELPER) },
    { path: join(root, 'sbin/mount.remora'), target: 'mount.fuse.remora' },
    link('usr/local/share/man/man1/remora.1', 'man/remora.1'),
    link('usr/local/share/bash-completion/completions/remora', 'completions/remora.bash'),
    link('usr/local/share/zsh/site-functions/_remora', 'completions/_remora'),
    link('usr/local/share/fish/vendor_completions.d/remora.fish', 'completions/remora.fish'),
  ];
}

async function find(entry: Entry): Promise<Found> {
  const stats = await lstat(entry.path).catch(absent);
  if (stats === null) return 'nothing';
  if ('target' in entry) {
    const target = stats.isSymbolicLink() ? await readlink(entry.path) : '';
    if (target === entry.target) return 'same';
    const isOurs = target.startsWith('/') && target.endsWith(`/remora-fs/${relative(PACKAGE, entry.target)}`);
    return isOurs ? 'older' : 'foreign';
  }
  const text = stats.isFile() ? await readFile(entry.path, 'utf8') : '';
  if (text === entry.text) return 'same';
  return text.split('\n')[1] === MARK ? 'older' : 'foreign';
}

function absent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
  throw error;
}

/** Makes sure of an entry; answers what there is to say. */
async function install(entry: Entry): Promise<string | null> {
  const { path } = entry;
  if ('target' in entry && (await stat(resolve(dirname(path), entry.target)).catch(absent)) === null) {
    return null;
  }
  const found = await find(entry);
  if (found === 'same') return `already there: ${path}`;
  if (found === 'foreign') return `left alone, since it is not Remora's: ${path}`;
  await mkdir(dirname(path), { recursive: true });
  if (found === 'older') await rm(path);
  if ('target' in entry) {
    await symlink(entry.target, path);
    return `linked: ${path} -> ${entry.target}`;
  }
  await writeFile(path, entry.text, { mode: 0o755 });
  return `written: ${path}`;
}

async function remove(entry: Entry): Promise<string | null> {
  const { path } = entry;
  const found = await find(entry);
  if (found === 'nothing') return null;
  if (found === 'foreign') return `left alone, since it is not Remora's: ${path}`;
  await rm(path);
  return `removed: ${path}`;
}

/** What on the ways to `paths` others than root can change. */
async function exposed(paths: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const path of paths) {
    for (let at = path; ; at = dirname(at)) {
      const { uid, mode } = await stat(at);
      // In a directory like /tmp only the owner of a file can replace it.
      const isOpen = (mode & 0o022) !== 0 && (mode & 0o1000) === 0;
      if (uid !== 0 || isOpen) found.add(at);
      if (at === dirname(at)) break;
    }
  }
  return [...found];
}

/** Says line by line what it does. Throws a CommandError. */
export async function system(
  { action, root }: SystemArguments,
  say: (line: string) => void,
  tell: (text: string) => void,
): Promise<void> {
  // Whatever root's is: everybody reads what is installed, and those whom fstab lets mount run the helper.
  process.umask(0o022);
  for (const entry of entries(resolve(root))) {
    const done = action === 'install' ? install(entry) : remove(entry);
    const line = await done.catch((error: NodeJS.ErrnoException) => {
      throw refusal(entry.path, action, error);
    });
    if (line !== null) say(line);
  }
  if (action === 'remove' || resolve(root) !== '/') return;
  const open = await exposed([process.execPath, HELPER]);
  if (open.length > 0) {
    tell(`mounting by fstab, root will run what others than root can change: ${open.join(', ')}`);
  }
}

function refusal(path: string, action: string, cause: NodeJS.ErrnoException): CommandError {
  const { code = cause.message } = cause;
  const command = `sudo ${process.execPath} ${join(PACKAGE, 'dist/cli/main.js')} system ${action}`;
  const remedy = code === 'EACCES' || code === 'EPERM' ? `; as root: ${command}` : '';
  return new CommandError('failure', `${path} cannot be changed (${code})${remedy}`, { cause });
}
