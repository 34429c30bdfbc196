/**
 * The programs that watch on the server. One command finds out what is there and starts it, so that the question costs
 * no round trip of its own: a script of ours where there is python3, which watches what it is told and says what it
 * finds; else `inotifywait`, which is given its directories when it starts. Nothing of a user's is in the command.
 *
 * What the script is told, a line each: `+ID PATH` watches a directory, `-ID` does no longer, `?N` is a question. It
 * says `=ID TYPE QUIET` when a directory is watched (TYPE: statfs(2)'s f_type, in hex; QUIET: milliseconds since it was
 * changed last) or `!ID ERRNO` when it cannot be, `*ID MASK FOUND NAME` of what changed, `~` when events were lost, and
 * answers `.N` behind all that came before. FOUND is `-` for nothing, or the decimal mode, size, uid, gid, atime, mtime
 * and nlink with commas. In paths and names a backslash is `\b` and the end of a line `\n`.
 *
 * A directory may be at several paths (a bind mount), and inotify has one watch for all of them: what changed is told
 * of each. inotifywait names one of them only, so the device and inode of each is told with its type.
 */
import { quoted } from '../base/shell.js';

/** Comes first, with the name of the program that is there (or `nothing`), behind whatever a login shell says. */
export const GREETING = 'remora-watch 1 ';

/** The exit status that means: inotify is not for this Python. */
const UNFIT = 99;

/** Milliseconds during which changes of one name are told together: an editor saves in ten steps. */
const TOGETHER = 15;

const SCRIPT = `
import ctypes, os, select, struct, sys, time
try:
    libc = ctypes.CDLL(None, use_errno=True)
    inotify = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    libc.inotify_add_watch, libc.inotify_rm_watch, libc.statfs
except Exception:
    sys.exit(${UNFIT})
# MODIFY ATTRIB MOVED_FROM MOVED_TO CREATE DELETE DELETE_SELF MOVE_SELF, ONLYDIR DONT_FOLLOW EXCL_UNLINK
MASK = 0xfc6 | 0x7000000
ids, wds, paths, pending = {}, {}, {}, {}
out, since = [], 0

def say(*words):
    out.append(b' '.join(words))

def number(n):
    return str(n).encode()

def look(path):
    try:
        s = os.lstat(path)
    except OSError:
        return b'-'
    facts = s.st_mode, s.st_size, s.st_uid, s.st_gid, int(s.st_atime), int(s.st_mtime), s.st_nlink
    return b','.join(map(number, facts))

def add(id, path):
    buffer = ctypes.create_string_buffer(512)
    wd = libc.inotify_add_watch(inotify, path, MASK)
    if wd < 0 or libc.statfs(path, buffer) < 0:
        return say(b'!' + id, number(ctypes.get_errno()))
    try:
        s = os.lstat(path)
        quiet = max(0, int((time.time() - max(s.st_ctime, s.st_mtime)) * 1000))
    except OSError:
        quiet = 0
    ids.setdefault(wd, set()).add(id)
    wds[id], paths[id] = wd, path
    say(b'=' + id, b'%x' % (ctypes.c_ulong.from_buffer(buffer).value & 0xffffffff), number(quiet))

def drop(id):
    paths.pop(id, None)
    return wds.pop(id, None)

def listen(line):
    word, id = line[:1], line[1:]
    if word == b'+':
        id, path = id.split(b' ', 1)
        add(id, path.replace(b'\\\\n', b'\\n').replace(b'\\\\b', b'\\\\'))
    elif word == b'-':
        wd = drop(id)
        if wd is not None:
            ids[wd].remove(id)
            if not ids[wd]:
                del ids[wd]
                libc.inotify_rm_watch(inotify, wd)
    elif word == b'?':
        drain()
        tell()
        say(b'.' + id)

def drain():
    global since
    while True:
        try:
            data = os.read(inotify, 65536)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            wd, mask, _, length = struct.unpack_from('iIII', data, at)
            name = data[at + 16:at + 16 + length].rstrip(b'\\0')
            at += 16 + length
            if mask & 0x4000:
                say(b'~')
            for id in ids.get(wd, ()):
                if not pending:
                    since = time.monotonic()
                pending[id, name] = pending.get((id, name), 0) | mask
            if mask & 0x8000:
                for id in ids.pop(wd, ()):
                    drop(id)

def tell():
    for (id, name), mask in pending.items():
        path = paths.get(id)
        found = look(path + b'/' + name if name else path) if path is not None else b'-'
        say(b'*' + id, b'%x' % mask, found, name.replace(b'\\\\', b'\\\\b').replace(b'\\n', b'\\\\n'))
    pending.clear()

def main():
    rest = b''
    say(b'${GREETING}python3')
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(inotify, select.POLLIN)
    while True:
        if out:
            sys.stdout.buffer.write(b'\\n'.join(out) + b'\\n')
            sys.stdout.buffer.flush()
            out.clear()
        wait = max(0, since + ${TOGETHER / 1000} - time.monotonic()) * 1000 if pending else None
        for fd, _ in poll.poll(wait):
            if fd == inotify:
                drain()
            else:
                data = os.read(0, 65536)
                if not data:
                    return
                *lines, rest = (rest + data).split(b'\\n')
                for line in lines:
                    listen(line)
        if pending and time.monotonic() - since >= ${TOGETHER / 1000}:
            tell()

try:
    if inotify < 0:
        print('${GREETING}nothing', ctypes.get_errno())
    else:
        main()
except (BrokenPipeError, KeyboardInterrupt):
    os._exit(0)
`;

/** Any shell takes it: one line without quotes, backslashes or exclamation marks. */
const PYTHON = `import base64;exec(base64.b64decode("${Buffer.from(SCRIPT).toString('base64')}"))`;

const FIND = [
  `if command -v python3 >/dev/null 2>&1; then python3 -c '${PYTHON}'; test $? -eq ${UNFIT} || exit 0; fi`,
  `if command -v inotifywait >/dev/null 2>&1; then echo "${GREETING}inotifywait"; exit 0; fi`,
  `echo "${GREETING}nothing"`,
].join('; ');

/**
 * Reads paths, a line each, up to an empty one, and says `= TYPE DEVICE:INODE` of each; then its standard input may say
 * whatever is to be said back.
 */
const INOTIFYWAIT = [
  'list=$(while IFS= read -r path && test -n "$path"; do printf "%s\\n" "$path"; done)',
  `echo "${GREETING}inotifywait"`,
  'printf "%s\\n" "$list" | while IFS= read -r path; do type=$(stat -f -c %t -- "$path") || type=0; ' +
    'echo "= $type $(stat -L -c %d:%i -- "$path")"; done 2>/dev/null',
  'printf "%s\\n" "$list" | inotifywait -m --format "%e|%w|%f" -e modify -e attrib -e move -e create -e delete ' +
    '-e delete_self -e move_self --fromfile - 2>&1 & pid=$!',
  'while read -r line; do kill -0 $pid 2>/dev/null || break; echo "$line"; done',
  'kill $pid 2>/dev/null',
].join('; ');

/** For the login's own shell, whichever that is. */
function forAnyShell(script: string): string {
  return `exec /bin/sh -c ${quoted(script)}`;
}

/** Finds out what is there, and runs python3 with the script if that is. */
export const FIND_WATCHER: string = forAnyShell(FIND);

export const RUN_INOTIFYWAIT: string = forAnyShell(INOTIFYWAIT);
