/**
 * `remora system install` puts into the system what cannot live in a package of npm: the helper where mount(8) looks for
 * it, the manual and the completions where man and the shells do. `remove` takes away exactly that: the helper is known
 * by its text, the others by being absolute links (npm's own are relative) to the same file of this package, of another
 * copy of it, or of one that is no more; what somebody else has put there stays.
 */
import { lstat, mkdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SystemArguments } from '../arguments.js';
import { CommandError } from '../exit.js';

const PACKAGE = fileURLToPath(new URL('../../..', import.meta.url));
const HELPER = fileURLToPath(new URL('./mount-helper.js', import.meta.url));

/** The second line of the helper, behind the one with the program that runs it. */
const MARK =
  '// The mount helper of Remora, made by `remora system install`; `remora system remove` removes it.';

/** A file of the system: a program with `text`, or a link to `target`, which may be `source` of a package. */
type Entry = { readonly path: string } & (
  | { readonly text: string }
  | { readonly target: string; readonly source?: string }
);

/** What there is at the place of an entry. */
type Found = 'nothing' | 'same' | 'older' | 'foreign';

/** Longest first line of a program, in bytes: BINPRM_BUF_SIZE of the kernel, without the end of the line. */
const FIRST_LINE_MAX = 255;

/** Absolute paths, since mount(8) leaves no PATH. */
function launcher(node: string, helper: string): string {
  const failed = '(error) => { console.error("remora: " + error.message); process.exitCode = 32; }';
  return `#!${node}\n${MARK}\nimport(${JSON.stringify(helper)}).catch(${failed});\n`;
}

/** mount(8) looks for helpers in /sbin alone; the other places are those for what is not the distribution's. */
function entries(root: string): Entry[] {
  const link = (path: string, source: string) => {
    return { path: join(root, path), target: join(PACKAGE, source), source };
  };
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
    return (await isOfCopy(target, entry.source)) ? 'older' : 'foreign';
  }
  const text = stats.isFile() ? await readFile(entry.path, 'utf8') : '';
  if (text === entry.text) return 'same';
  return text.split('\n')[1] === MARK ? 'older' : 'foreign';
}

/** Whether a link to `target` is one to `source` of another copy of this package, whatever its directory is called. */
async function isOfCopy(target: string, source: string | undefined): Promise<boolean> {
  if (source === undefined || !target.startsWith('/') || !target.endsWith(`/${source}`)) return false;
  if ((await stat(target).catch(absent)) === null) return true;
  const manifest = join(target.slice(0, -source.length), 'package.json');
  const text = await readFile(manifest, 'utf8').catch(absent);
  return text !== null && /"name":\s*"remora-fs"/.test(text);
}

function absent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
  throw error;
}

/** The kernel splits the first line of a program at its spaces, and cuts it. */
function checkInterpreter(node: string): void {
  const remedy = 'run this with a Node that is installed elsewhere';
  if (/\s/.test(node)) {
    throw new CommandError('failure', `no program can name ${node}, whose path has a space: ${remedy}`);
  }
  if (Buffer.byteLength(`#!${node}`) > FIRST_LINE_MAX) {
    throw new CommandError('failure', `no program can name ${node}, whose path is too long: ${remedy}`);
  }
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
  if (action === 'install') checkInterpreter(process.execPath);
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
