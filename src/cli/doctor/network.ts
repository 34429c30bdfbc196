/** The way to the machine: what its configuration says, what its name resolves to, and whether a port answers there. */
import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { describeServer } from '../../ssh/errors.js';
import { resolveTarget } from '../resolve.js';
import { type Check, type Found, failure, ok, skipped, warning } from './finding.js';
import { type HostCase, quoted } from './host-case.js';

/** Milliseconds for each: `ssh -G` may run commands, a resolver asks several servers, a packet is sent thrice. */
const CONFIGURATION = 40_000;
const NAME = 20_000;
const TCP = 15_000;

/** An address that is silent for this many milliseconds does not answer. */
const ADDRESS = 5000;

/** A host alone, or a session of PuTTY, is meant with its home directory. */
export function withColon(source: string): string {
  const name = source.replace(/^putty:/, '').replace(/\[[^\]]*\]/, '');
  return name.includes(':') ? source : `${source}:`;
}

async function configuration(subject: HostCase): Promise<Found[]> {
  const { parsed, place } = subject;
  const source = withColon(subject.source);
  try {
    subject.resolved = await resolveTarget(source, parsed, place);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const [, file, line] = /(\/\S+?)(?:: line | line |:)(\d+)/.exec(message) ?? [];
    const bad = /Bad owner or permissions on (\S+?)\.?$/.exec(message)?.[1];
    if (bad !== undefined) {
      return [failure(message, 'ssh does not use a file that others may write', `chmod 600 ${quoted(bad)}`)];
    }
    const remedy = file === undefined ? null : `\${EDITOR:-vi} +${line} ${quoted(file)}`;
    return [failure(message, null, remedy)];
  }
  const { configFile } = subject.resolved.settings;
  const from = configFile === null ? '~/.ssh/config and /etc/ssh/ssh_config' : configFile;
  return [
    ok(subject.resolved.note, configFile === 'none' ? 'no configuration file is read' : `read: ${from}`),
  ];
}

async function name(subject: HostCase): Promise<Found[]> {
  const { nearest } = subject;
  if (nearest === null) return [skipped('a command makes the connection (ProxyCommand)')];
  const { host } = nearest;
  const { addressFamily } = subject.settings;
  const family = addressFamily === 'any' ? 0 : addressFamily === 'inet' ? 4 : 6;
  try {
    const found = await lookup(host, { all: true, family });
    subject.addresses = [...new Set(found.map(({ address }) => address))];
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'EAI_AGAIN') {
      const why = 'the name server does not answer: is the network up?';
      return [failure(`${host} cannot be looked up now`, why, 'cat /etc/resolv.conf')];
    }
    const why = 'mistyped, or an alias that ~/.ssh/config does not have, or a name of another network (VPN)';
    return [failure(`there is no host ${host}`, why, `getent hosts ${host}`)];
  }
  const said = isIP(host) ? 'is an address' : subject.addresses.join(', ');
  return [ok(`${host} ${isIP(host) ? said : `is ${said}`}`)];
}

type Answer = 'open' | 'refused' | 'silent' | 'unreachable' | 'forbidden';

function knock(host: string, port: number): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, noDelay: true });
    const finish = (answer: Answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ADDRESS, () => finish('silent'));
    socket.once('connect', () => finish('open'));
    socket.once('error', (error: NodeJS.ErrnoException) => finish(answerOf(error.code)));
  });
}

export function answerOf(code: string | undefined): Answer {
  switch (code) {
    case 'ECONNREFUSED':
      return 'refused';
    case 'ETIMEDOUT':
      return 'silent';
    case 'EACCES':
    case 'EPERM':
      return 'forbidden';
    default:
      return 'unreachable';
  }
}

async function tcp(subject: HostCase): Promise<Found[]> {
  const { nearest, addresses } = subject;
  if (nearest === null) return [skipped('a command makes the connection (ProxyCommand)')];
  const { port } = nearest;
  const answers = await Promise.all(addresses.map((address) => knock(address, port)));
  const isOpen = (address: string) => answers[addresses.indexOf(address)] === 'open';
  const open = addresses.filter(isOpen);
  const closed = addresses.filter((address) => !isOpen(address));
  const server = describeServer(nearest.host, port);
  if (open.length > 0) {
    if (closed.length === 0) return [ok(`port ${port} is open`)];
    const family = closed.every((address) => isIP(address) === 6) ? 'inet' : 'inet6';
    const why = `${closed.join(', ')} does not answer, which may delay each connection`;
    return [warning(`port ${port} is open at ${open.join(', ')}`, why, `-o AddressFamily=${family}`)];
  }
  if (answers.includes('refused')) {
    const why = `the machine is there, but nothing listens at port ${port}: no SSH server runs, or it has another port`;
    return [
      failure(`${server} refuses the connection`, why, 'on the server: sudo systemctl enable --now ssh'),
    ];
  }
  if (answers.includes('silent')) {
    const why = 'a firewall drops the packets (filtered), or the machine is switched off';
    return [failure(`${server} does not answer`, why, `on the server: sudo ufw allow ${port}/tcp`)];
  }
  if (answers.includes('forbidden')) {
    const why = 'a firewall of this machine forbids it';
    return [failure(`this machine may not connect to ${server}`, why, 'sudo nft list ruleset')];
  }
  const why = 'there is no route: the network is down, or a VPN is missing';
  return [failure(`${server} cannot be reached`, why, `ip route get ${addresses[0] ?? nearest.host}`)];
}

export const NETWORK_CHECKS: readonly Check<HostCase>[] = [
  { id: 'configuration', title: 'configuration', needs: [], deadline: CONFIGURATION, run: configuration },
  { id: 'name', title: 'host name', needs: ['configuration'], deadline: NAME, run: name },
  { id: 'tcp', title: 'connection', needs: ['name'], deadline: TCP, run: tcp },
];
