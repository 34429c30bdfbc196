/**
 * Runs system calls in a Python process of their own and tells how each ended: 'ok', the name of an errno, or the
 * name of the signal that killed it. Every call has a new directory `d` to work in, furnished with one of each kind;
 * `r` is the root that holds further filesystems.
 */
import { type Identity, must } from './run.js';
import type { Scope } from './scope.js';

/**
 * A name, how the call has to end, and the call in Python: statements, of which the first error counts. Where it ends
 * in another way through a mount, the fourth says how.
 */
export type ErrnoCase = readonly [name: string, errno: string, code: string, mounted?: string];

const DRIVER = `
import errno, json, mmap, os, shutil, signal, sys, traceback

def furnish(d):
    os.makedirs(d + '/dir')
    os.makedirs(d + '/full/below')
    os.symlink('file', d + '/link')
    os.symlink('nowhere', d + '/dangling')
    os.symlink('loop', d + '/loop')
    with open(d + '/file', 'w') as file:
        file.write('content')

def ending(code, r, d):
    try:
        exec(code, {'os': os, 'mmap': mmap, 'shutil': shutil, 'r': r, 'd': d, **HELPERS})
        return 'ok'
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    except BaseException:
        return traceback.format_exc()

def alone(code, r, d):
    """In a child, since a call may end its process."""
    (reader, writer) = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, ending(code, r, d).encode())
        os._exit(0)
    os.close(writer)
    (_, status) = os.waitpid(child, 0)
    said = os.read(reader, 65536).decode()
    os.close(reader)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else said

def first(path, *steps, flags=os.O_RDWR | os.O_CREAT):
    """The first error of writing, fsync and close counts; the file goes."""
    fd = os.open(path, flags, 0o644)
    try:
        try:
            for step in steps:
                step(fd)
            os.fsync(fd)
        finally:
            os.close(fd)
    finally:
        os.unlink(path)

def fill(path, size=4 << 20):
    """Takes all the space; whatever says so is expected."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT)
        try:
            for _ in range(size // 65536):
                os.write(fd, bytes(65536))
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        assert error.errno == errno.ENOSPC, error

HELPERS = {'first': first, 'fill': fill}
(root, cases) = (sys.argv[1], json.load(sys.stdin))
endings = {}
for index, (name, _, code, *_) in enumerate(cases):
    d = f'{root}/case-{index}'
    furnish(d)
    endings[name] = alone(code, root, d)
json.dump(endings, sys.stdout)
`;

/** How each case ends below `root`. */
export async function endings(
  scope: Scope,
  root: string,
  cases: readonly ErrnoCase[],
  as?: Identity,
): Promise<Readonly<Record<string, string>>> {
  const options = { env: scope.environment, input: JSON.stringify(cases), timeout: 110_000, as };
  return JSON.parse(await must('python3', ['-c', DRIVER, root], options)) as Record<string, string>;
}
