/** A person at a terminal: a program on a pseudo-terminal of its own whose questions are answered in turn. */
import type { Finished, RunOptions } from './run.js';
import { run } from './run.js';

/** Waits until the program has printed `expect`, then types `answer`. */
export interface Exchange {
  readonly expect: string;
  readonly answer: string;
}

const DRIVER = `
import json, os, pty, select, sys, time
talk, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
seen, at, deadline = b"", 0, time.monotonic() + 45
while time.monotonic() < deadline:
    if talk:
        found = seen.find(talk[0]["expect"].encode(), at)
        if found >= 0:
            at = found + len(talk[0]["expect"])
            os.write(fd, talk.pop(0)["answer"].encode())
            continue
    if select.select([fd], [], [], 0.2)[0]:
        try:
            data = os.read(fd, 65536)
        except OSError:
            data = b""
        if not data:
            break
        seen += data
sys.stdout.buffer.write(seen)
sys.stdout.flush()
if talk:
    print("\\nnever asked: " + talk[0]["expect"])
if time.monotonic() >= deadline:
    os.kill(pid, 9)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(status if status >= 0 else 128 - status)
`;

/** Runs the program; `stdout` is everything the terminal showed, `code` its exit code. */
export function runOnTerminal(
  command: readonly string[],
  talk: readonly Exchange[],
  options: RunOptions = {},
): Promise<Finished> {
  return run('python3', ['-c', DRIVER, JSON.stringify(talk), ...command], options);
}
