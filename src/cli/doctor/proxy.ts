/**
 * The proxy on the way: whether it lets us through to the first server behind it. What it says for itself (a status,
 * a reply code, the last words of a command) is told apart into what a person can do about it.
 */

import { quoted } from '../../base/shell.js';
import { ConnectError, describeServer } from '../../ssh/errors.js';
import { expandCommand } from '../../ssh/proxy/command.js';
import type { ConnectSettings } from '../../ssh/settings.js';
import { type Check, type Found, failure, ok } from './finding.js';
import type { HostCase } from './host-case.js';
import type { SocketProxy, Station, Way } from './station.js';

/** Milliseconds for the tunnel, behind which the proxy connects, and for a command to let something through. */
const TUNNEL = 10_000;

/** Debian's packages of programs that people have in a ProxyCommand. */
const PACKAGES: Readonly<Record<string, string>> = {
  connect: 'connect-proxy',
  'connect-proxy': 'connect-proxy',
  corkscrew: 'corkscrew',
  nc: 'netcat-openbsd',
  ncat: 'ncat',
  netcat: 'netcat-openbsd',
  proxytunnel: 'proxytunnel',
  socat: 'socat',
  ssh: 'openssh-client',
};

async function proxy(subject: HostCase): Promise<Found[]> {
  const [first] = subject.stations;
  const { proxy: given } = subject.settings.route;
  if (first === undefined || given === null) return [];
  try {
    const way = await first.open(AbortSignal.timeout(TUNNEL));
    const how =
      given.kind === 'command' ? await throughCommand(way) : `it connects to ${first.settings.host}`;
    way.end();
    return [ok(how)];
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (given.kind === 'command') return [explainCommand(message, given.command, first)];
    return [explainTunnel(error, message, given, first)];
  }
}

/** A command shows whether it came through when the server greets. */
function throughCommand({ stream }: Way): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      stream.destroy(new Error(`nothing came through the ProxyCommand within ${TUNNEL / 1000} s`));
    }, TUNNEL);
    stream.once('data', () => resolve('the ProxyCommand lets the server through'));
    stream.once('error', reject);
    stream.once('close', () => {
      clearTimeout(timer);
      reject(new Error('the ProxyCommand ended'));
    });
    stream.resume();
  });
}

function explainCommand(message: string, command: string, { settings }: Station): Found {
  const [, name] =
    /(?:exec: |: \d+: |: )([\w./+-]+): (?:command |inaccessible or )?not found/.exec(message) ?? [];
  if (name !== undefined) {
    const pack = PACKAGES[name];
    const remedy = pack === undefined ? `command -v ${quoted(name)}` : `sudo apt install ${pack}`;
    return failure(message, `the program '${name}' is not installed, or not in the PATH`, remedy);
  }
  const why =
    'it ended, or was silent, before the server said anything: the proxy that it knows or the server behind it cannot ' +
    'be reached; to see what it does:';
  return failure(message, why, byHand(command, settings));
}

/** The command as the shell gets it, to be run by hand; null where its tokens cannot be replaced. */
export function byHand(command: string, settings: ConnectSettings): string | null {
  try {
    return expandCommand(command, settings);
  } catch {
    return null;
  }
}

function explainTunnel(
  error: unknown,
  message: string,
  given: SocketProxy,
  { settings: { host, port } }: Station,
): Found {
  const kind = error instanceof ConnectError ? error.kind : null;
  const isHttp = given.kind === 'http';
  const at = `${given.host.includes(':') ? `[${given.host}]` : given.host}:${given.port}`;
  const option = isHttp ? 'http_proxy' : 'socks_proxy';
  const isSilent = error instanceof Error && error.name === 'TimeoutError';
  if (isSilent && isHttp) {
    const why = `it waits in vain for ${describeServer(host, port)}, or it is a proxy of another kind`;
    return failure('the HTTP proxy does not answer', why, `on the proxy: nc -vz ${quoted(host)} ${port}`);
  }
  if (isSilent || /does not speak (?:HTTP|SOCKS)/.test(message)) {
    const other = isHttp ? 'socks_proxy' : 'http_proxy';
    const why = `it may be a proxy of another kind, or no proxy at all at port ${given.port}`;
    return failure(isSilent ? 'the SOCKS proxy does not answer' : message, why, `-o ${other}=${at}`);
  }
  if (kind === 'proxy-login') {
    const file = isHttp ? '; a file of mode 600 hides them from others: http_proxy_auth=FILE' : '';
    const why =
      given.user === null
        ? `the proxy lets in only who is known to it${file}`
        : `they are mistyped, or not those of this proxy; in a password write @ as %40, : as %3A, a comma as %2C${file}`;
    return failure(message, why, `-o ${option}=${encodeURIComponent(given.user ?? 'USER')}:PASSWORD@${at}`);
  }
  if (/does not permit/.test(message)) {
    const why = `it lets through only what its administrator has allowed, often no port but 443`;
    const remedy = isHttp
      ? `on the proxy: echo 'ConnectPort ${port}' | sudo tee -a /etc/tinyproxy/tinyproxy.conf && sudo systemctl restart tinyproxy`
      : `on the proxy: allow ${host} port ${port}`;
    return failure(message, why, remedy);
  }
  const why = `the proxy answers, and cannot come to ${describeServer(host, port)} from where it is: the name, the port or a firewall behind it`;
  return failure(message, why, `on the proxy: nc -vz ${quoted(host)} ${port}`);
}

export const PROXY_CHECK: Check<HostCase> = {
  id: 'proxy',
  title: 'proxy',
  needs: ['tcp'],
  deadline: TUNNEL + 5000,
  run: proxy,
};
