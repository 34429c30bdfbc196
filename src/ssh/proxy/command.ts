/**
 * A ProxyCommand (ssh_config(5)): its standard input and output are the connection. It is shell syntax of the user's
 * own, given to the user's shell as ssh does it; only the tokens in it are replaced, by values that no shell would
 * misread. It has a process group of its own, so that all of a pipeline ends with it.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { logger } from '../../base/log.js';
import { printable } from '../../base/printable.js';
import type { Carrier } from '../carrier.js';
import { ConnectError, describeServer } from '../errors.js';
import { Incoming } from '../incoming.js';
import { ProcessGroup } from '../process-group.js';
import { Relay } from '../relay.js';
import type { ConnectSettings } from '../settings.js';

const log = logger('proxy');

/** How much of what it writes to standard error is kept for an error message, in characters. */
const COMPLAINTS = 500;
/** Milliseconds that it has to end by itself once it has closed its output. */
const GRACE = 500;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export type CommandSettings = Pick<ConnectSettings, 'host' | 'originalHost' | 'port' | 'user'>;

/** `command` with %h, %n, %p, %r and %% replaced. @throws ConnectError */
export function expandCommand(command: string, { host, originalHost, port, user }: CommandSettings): string {
  return command.replace(/%(.?)/gs, (token, letter: string) => {
    switch (letter) {
      case '%':
        return '%';
      case 'h':
        return checked('host', host, /^(?!-)[\w.:%-]+$/);
      case 'n':
        return checked('host', originalHost, /^(?!-)[\w.:%-]+$/);
      case 'p':
        return String(port);
      case 'r':
        return checked('user', user, /^(?!-)[\w.@+-]+$/);
      default:
        throw new ConnectError('protocol', `ProxyCommand holds the unknown token '${printable(token)}'`);
    }
  });
}

function checked(what: string, value: string, safe: RegExp): string {
  if (safe.test(value)) return value;
  throw new ConnectError(
    'protocol',
    `the ${what} name '${printable(value)}' holds characters that a shell would misread in the ProxyCommand`,
  );
}

/** Starts it. It is known only later whether it can do what it is for. */
export function runCommand(
  command: string,
  settings: CommandSettings,
  environment: Readonly<Record<string, string | undefined>>,
): Carrier {
  const line = `exec ${expandCommand(command, settings)}`;
  const shell = environment.SHELL || '/bin/sh';
  const server = describeServer(settings.host, settings.port);
  // Not the line: some have passwords in it.
  log('%s runs the ProxyCommand for %s', shell, server);
  const child = spawn(shell, ['-c', line], {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...environment },
  });
  const group = new ProcessGroup(child.pid);
  const incoming = new Incoming();
  const relay = new Relay(child.stdout, child.stdin, incoming);
  const abandon = () => {
    relay.destroy();
    group.kill();
  };
  watch(child, group, relay, server);
  relay.once('close', () => group.kill());
  return { stream: relay, incoming, address: null, abandon };
}

/** Ends the stream when the command ends, with an error that says what is known. */
function watch(child: Child, group: ProcessGroup, relay: Relay, server: string): void {
  let complaints = '';
  let hasSpoken = false;
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    stream.on('error', (error) => {
      log('%s', error.message);
      group.killWithin(GRACE);
    });
  }
  child.stdout.once('data', () => {
    hasSpoken = true;
  });
  // Whoever listens to the relay reads; until then nothing may be lost.
  child.stdout.pause();
  child.stdout.once('end', () => group.killWithin(GRACE));
  child.stderr.on('data', (data: Buffer) => {
    const text = printable(data.toString('utf8'), true);
    log('%s', text.trimEnd());
    complaints = (complaints + text).slice(-COMPLAINTS);
  });

  const end = (how: string) => {
    const said = complaints.trim().split('\n').at(-1) ?? '';
    const text = `the ProxyCommand for ${server} ${how}${said === '' ? '' : `: ${said}`}`;
    relay.destroy(new ConnectError(hasSpoken ? 'lost' : 'proxy', text));
  };
  child.once('error', (error) => end(`does not start: ${error.message}`));
  const exited = once<string>((tell) =>
    child.once('exit', (code, signal) => {
      tell(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`);
    }),
  );
  const drained = once<void>((tell) => child.stdout.once('close', tell));
  const closed = once<void>((tell) => child.once('close', () => tell()));
  void Promise.all([exited, drained]).then(async ([how]) => {
    // What it started in the background may keep its standard error for ever.
    await Promise.race([closed, delay(GRACE, undefined, { ref: false })]);
    group.finish();
    if (child.exitCode === 0 && hasSpoken) relay.finish();
    else end(how);
  });
}

function once<T>(listen: (tell: (value: T) => void) => void): Promise<T> {
  return new Promise(listen);
}
