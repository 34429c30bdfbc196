/** The way to the machine: what its configuration says, what its name resolves to, and whether a port answers there. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { printable } from '../../base/printable.js';
import { quoted } from '../../base/shell.js';
import { dial } from '../../ssh/dial.js';
import { ConnectError, describeServer } from '../../ssh/errors.js';
import type { ConnectSettings } from '../../ssh/settings.js';
import { resolveTarget } from '../resolve.js';
import { type Check, type Found, failure, ok, skipped, warning } from './finding.js';
import type { HostCase } from './host-case.js';
import type { Station } from './station.js';

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
  try {
    const resolved = await resolveTarget(withColon(subject.source), parsed, place);
    subject.resolved = resolved;
    const { configFile } = resolved.settings;
    const from = configFile ?? '~/.ssh/config and /etc/ssh/ssh_config';
    return [ok(resolved.note, configFile === 'none' ? 'no configuration file is read' : `read: ${from}`)];
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return [failure(message, ...configurationRemedy(message))];
  }
}

/** Why a configuration is refused, and what mends it, by what the sentence names. */
export function configurationRemedy(message: string): [why: string | null, remedy: string] {
  const bad = /Bad owner or permissions on (\S+?)\.?$/.exec(message)?.[1];
  if (bad !== undefined) return ['ssh does not use a file that others may write', `chmod 600 ${quoted(bad)}`];
  const open = /^(.+) holds a password that others can read/.exec(message)?.[1];
  if (open !== undefined) return ['a password is for its owner alone', `chmod 600 ${quoted(open)}`];
  const sessions = /there is no PuTTY session .* in (.+?)(?:;|$)/.exec(message)?.[1];
  if (sessions !== undefined) return ['it is mistyped, or saved elsewhere', `ls ${quoted(sessions)}`];
  const [, file, line] = /(\/.+?)(?:: line | line |:)(\d+)/.exec(message) ?? [];
  if (file !== undefined) return [null, `\${EDITOR:-vi} +${line} ${quoted(file)}`];
  return ['a host is named [user@]host, and a directory after a colon', 'remora --help'];
}

async function name(subject: HostCase): Promise<Found[]> {
  const { nearest } = subject;
  if (nearest === null) return [skipped('somebody else makes the connection')];
  const { what, host } = nearest;
  const { addressFamily } = subject.settings;
  const family = addressFamily === 'any' ? 0 : addressFamily === 'inet' ? 4 : 6;
  try {
    const found = await lookup(host, { all: true, family });
    subject.addresses = [...new Set(found.map(({ address }) => address))];
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'EAI_AGAIN') {
      const why = 'the name server does not answer: is the network up?';
      return [failure(`${what}${host} cannot be looked up now`, why, 'cat /etc/resolv.conf')];
    }
    const version = addressFamily === 'inet' ? ' with an IPv4 address' : ' with an IPv6 address';
    const said = `there is no ${what === '' ? 'host' : what.slice(4).trimEnd()} ${host}${family === 0 ? '' : version}`;
    const why =
      'mistyped, or an alias that ~/.ssh/config does not have, or a name of another network (VPN)' +
      (family === 0 ? '' : `, or without such an address (AddressFamily=${addressFamily})`);
    return [failure(said, why, `getent ahosts ${quoted(host)}`)];
  }
  const said = isIP(host) ? 'is an address' : `is ${subject.addresses.join(', ')}`;
  return [ok(`${what}${host} ${said}`)];
}

type Answer = 'open' | 'refused' | 'silent' | 'unreachable' | 'forbidden' | 'unbound';

/** @throws ConnectError about this machine's end (BindAddress, BindInterface) */
async function knock(host: string, port: number, settings: ConnectSettings): Promise<Answer> {
  try {
    const { abandon } = await dial(host, port, settings, AbortSignal.timeout(ADDRESS));
    abandon();
    return 'open';
  } catch (error) {
    if (error instanceof ConnectError) throw error;
    if (error instanceof Error && error.name === 'TimeoutError') return 'silent';
    return answerOf(error instanceof Error && 'code' in error ? String(error.code) : undefined);
  }
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
    case 'EADDRNOTAVAIL':
    case 'EINVAL':
      return 'unbound';
    default:
      return 'unreachable';
  }
}

async function tcp(subject: HostCase): Promise<Found[]> {
  const { nearest, addresses, settings } = subject;
  if (nearest === null) return [skipped('somebody else makes the connection')];
  const { what, port } = nearest;
  const [first] = subject.stations;
  const own = first?.settings ?? settings;
  let answers: Answer[];
  try {
    answers = await Promise.all(addresses.map((address) => knock(address, port, own)));
  } catch (error) {
    return [failure(error instanceof Error ? error.message : String(error), null, 'ip -brief address')];
  }
  const isOpen = (address: string) => answers[addresses.indexOf(address)] === 'open';
  const open = addresses.filter(isOpen);
  const closed = addresses.filter((address) => !isOpen(address));
  const server = `${what}${describeServer(nearest.host, port)}`;
  if (open.length > 0) {
    if (closed.length === 0) return [ok(`port ${port} is open`)];
    const family = closed.every((address) => isIP(address) === 6) ? 'inet' : 'inet6';
    const why = `${closed.join(', ')} does not answer, which may delay each connection`;
    return [warning(`port ${port} is open at ${open.join(', ')}`, why, `-o AddressFamily=${family}`)];
  }
  const there = what === '' ? (first?.there ?? 'on the server') : 'on the proxy';
  if (answers.includes('refused')) {
    const said = `${server} refuses the connection`;
    if (what !== '') {
      const why = `the machine is there, but no proxy listens at port ${port}: it does not run, or has another port`;
      return [failure(said, why, `${there}: ss -ltnp`)];
    }
    const why = `the machine is there, but nothing listens at port ${port}: no SSH server runs, or it has another port`;
    return [failure(said, why, `${there}: sudo systemctl enable --now ssh`)];
  }
  if (answers.includes('silent')) {
    const why = 'a firewall drops the packets (filtered), or the machine is switched off';
    return [failure(`${server} does not answer`, why, `${there}: sudo ufw allow ${port}/tcp`)];
  }
  if (answers.includes('forbidden')) {
    const why = 'a firewall of this machine forbids it';
    return [failure(`this machine may not connect to ${server}`, why, 'sudo nft list ruleset')];
  }
  if (answers.includes('unbound') && own.bindAddress !== null) {
    const bind = printable(own.bindAddress);
    const why = 'BindAddress names an address of this machine to connect from';
    return [failure(`${server} cannot be reached from ${bind}`, why, 'ip -brief address')];
  }
  const why = 'there is no route: the network is down, or a VPN is missing';
  return [failure(`${server} cannot be reached`, why, `ip route get ${addresses[0] ?? nearest.host}`)];
}

/** From the server before it. */
async function tcpFromHop(station: Station): Promise<Found[]> {
  const { settings, before } = station;
  const server = describeServer(settings.host, settings.port);
  if (before === null || station.hop === null)
    return [skipped('the ssh program goes on by itself: see the login')];
  try {
    const way = await station.open(AbortSignal.timeout(TCP));
    way.end();
    return [ok(`${before.name} connects to ${server}`)];
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (/does not let us go on/.test(message)) {
      const why = `${before.name} forbids it to this user, or for this address (AllowTcpForwarding, PermitOpen, DisableForwarding, or restrict in authorized_keys)`;
      const remedy = `on ${before.name}: put 'AllowTcpForwarding yes' into sshd_config, then: sudo systemctl reload ssh`;
      return [failure(message, why, remedy)];
    }
    if (error instanceof ConnectError && error.kind === 'refused') {
      const why = `the machine is there, seen from ${before.name}, but nothing listens at port ${settings.port}`;
      return [failure(message, why, `${station.there}: sudo systemctl enable --now ssh`)];
    }
    const why = `seen from ${before.name} there is no such name, no route to it, or a firewall in between`;
    return [failure(message, why, before.remote(`getent ahosts ${quoted(settings.host)}`))];
  }
}

export const CONFIGURATION_CHECK: Check<HostCase> = {
  id: 'configuration',
  title: 'configuration',
  needs: [],
  deadline: CONFIGURATION,
  run: configuration,
};

export const NETWORK_CHECKS: readonly Check<HostCase>[] = [
  { id: 'name', title: 'host name', needs: ['configuration'], deadline: NAME, run: name },
  { id: 'tcp', title: 'connection', needs: ['name'], deadline: TCP, run: tcp },
];

export const TUNNEL_CHECK: Check<Station> = {
  id: 'tcp',
  title: 'connection',
  needs: ['login'],
  deadline: TCP + 5000,
  run: tcpFromHop,
};
