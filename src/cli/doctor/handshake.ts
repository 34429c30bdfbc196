/** What a server says before anybody logs in: that it is an SSH server, and its algorithms. */
import { type Check, type Found, failure, ok, skipped, warning } from './finding.js';
import { compare, onlyPostQuantum } from './kexinit.js';
import { type Probe, probe } from './probe.js';
import { recognise } from './software.js';
import type { Station } from './station.js';
import { turnToProgram } from './transport.js';

/** Milliseconds for a handshake: a slow machine computes, a server may look up our name first (UseDNS). */
export const HANDSHAKE = 12_000;

/** Why a server is not looked at before the login. */
export const BY_PROGRAM = 'the ssh program does this by itself: see the login';

/** How a record of TLS begins that says what was wrong (RFC 8446, section 5.1). */
const TLS_ALERT = '\x15\x03';

/** Longest piece of what a stranger says that is shown, in characters. */
const SHOWN = 80;

async function banner(station: Station): Promise<Found[]> {
  if (!station.isInReach) return [skipped(BY_PROGRAM)];
  const result = await probe(station, HANDSHAKE);
  station.probe = result;
  const { theirs } = result;
  if (theirs.software === null) return [notSsh(result, station)];
  if (theirs.protocol !== '2.0' && theirs.protocol !== '1.99') {
    const what = `the server speaks SSH ${theirs.protocol} (${theirs.software}), which nobody should any more`;
    const why = 'its protocol is broken since 1998; everything that is kept up speaks 2.0';
    return [failure(what, why, `${station.there}: sudo apt install openssh-server`)];
  }
  const { name, quirk } = recognise(theirs.software);
  const said = theirs.text[0]?.slice(0, SHOWN);
  return [ok(`${name} (${theirs.software})${said === undefined ? '' : `; it says: ${said}`}`, quirk)];
}

function notSsh({ theirs, ending }: Probe, station: Station): Found {
  const { port } = station.settings;
  const [said = ''] = theirs.text;
  if (/MaxStartups|Not allowed at this time/i.test(said) || (said === '' && ending === 'closed')) {
    const what =
      said === ''
        ? 'the server closes the connection before it says anything'
        : `the server refuses: ${said}`;
    const why =
      'too many logins are under way there (MaxStartups), or this address is blocked (fail2ban, PerSourcePenalties, hosts.deny)';
    return failure(
      what,
      why,
      `${station.there}: sudo journalctl -u ssh -n 50; raise MaxStartups in sshd_config`,
    );
  }
  if (said === '') {
    const why = `something else listens at port ${port}, or the server is overloaded, or a firewall swallows what it says`;
    return failure('the connection stands, and the server is silent', why, station.command('ssh', ' -vvv'));
  }
  const isLong = said.length > SHOWN;
  const what = `it is not an SSH server: it answers ${JSON.stringify(said.slice(0, SHOWN))}${isLong ? ' …' : ''}`;
  const isElsewhere = port !== 22 && station.isLast;
  const why = `${kindOf(said)} listens at port ${port}${isElsewhere ? ', and SSH usually at port 22' : ''}`;
  return failure(what, why, isElsewhere ? '-p 22' : `${station.there}: sudo ss -ltnp | grep sshd`);
}

/** What begins a conversation like this. */
export function kindOf(said: string): string {
  if (/^HTTP\//.test(said)) return 'a web server';
  if (said.startsWith(TLS_ALERT)) return 'a server for TLS (https)';
  if (/^220[ -]/.test(said)) return 'a mail or FTP server';
  if (/^\* OK|^\+OK/.test(said)) return 'a mail server';
  if (/^RFB \d/.test(said)) return 'a VNC server';
  return 'another program';
}

async function keyExchange(station: Station): Promise<Found[]> {
  const { probe: result, subject } = station;
  if (result === null) return [skipped(BY_PROGRAM)];
  const { theirs, ours, complaint } = result;
  if (theirs.kexinit === null || ours.kexinit === null) {
    const what = complaint ?? 'the server does not say which algorithms it has';
    const why = 'the conversation broke off after the greeting';
    return [failure(what, why, `${station.there}: sudo journalctl -u ssh -n 50`)];
  }
  const { missing, agreed, weak, postQuantum } = compare(ours.kexinit, theirs.kexinit);
  if (subject.speaker === 'openssh') return [ok('the ssh program agrees on them with the server')];
  if (missing !== null) {
    const { kind, keyword, offered } = missing;
    const what = `no ${kind} algorithm in common: the server offers ${offered.join(', ') || 'none'}`;
    if (turnToProgram(subject))
      return [ok(`no ${kind} of the built-in transport: a mount takes the ssh program`, what)];
    if (onlyPostQuantum(offered)) {
      return [failure(what, 'only the ssh program knows post-quantum key exchange', '-o transport=openssh')];
    }
    const why = `see ${keyword} of ssh_config and sshd_config`;
    return [failure(what, why, `-o ${keyword}=+${offered[0] ?? ''}`)];
  }
  const what = agreed.join(', ');
  if (weak.length > 0) {
    const why = `${weak.join(', ')} ${weak.length === 1 ? 'is' : 'are'} weak: the server is old, or set up so`;
    return [warning(what, why, `${station.there}: sudo apt install --only-upgrade openssh-server`)];
  }
  const why = postQuantum ? 'the server could do post-quantum key exchange, with -o transport=openssh' : null;
  return [ok(what, why)];
}

export const HANDSHAKE_CHECKS: readonly Check<Station>[] = [
  { id: 'banner', title: 'server', needs: ['tcp', 'proxy', 'login'], deadline: HANDSHAKE * 2, run: banner },
  { id: 'key-exchange', title: 'key exchange', needs: ['banner'], deadline: HANDSHAKE, run: keyExchange },
];
