/** `remora doctor`: this machine, then a host from its name to its directory, and the report of it all. */

import { printable } from '../../base/printable.js';
import { quoted } from '../../base/shell.js';
import { parseOptions } from '../../config/parse.js';
import { parsePuttyTarget } from '../../config/putty-store.js';
import type { ConnectSettings, Prompter } from '../../ssh/settings.js';
import type { DoctorArguments } from '../arguments.js';
import { type Asker, findAsker } from '../asker.js';
import { driverOf } from '../drivers.js';
import type { ExitName } from '../exit.js';
import { askPassword } from '../mount.js';
import { readConfiguration, understandSource } from '../named.js';
import { processPlace } from '../resolve.js';
import { FILE_CHECKS } from './files.js';
import { type Check, examine, type Finding, rootCause } from './finding.js';
import { HANDSHAKE_CHECKS } from './handshake.js';
import { HostCase } from './host-case.js';
import { HOST_KEY_CHECK } from './host-key.js';
import { LOCAL_CHECKS, type Machine } from './local.js';
import { LOGIN_CHECK } from './login.js';
import { CONFIGURATION_CHECK, NETWORK_CHECKS, TUNNEL_CHECK, withColon } from './network.js';
import { byHand, PROXY_CHECK } from './proxy.js';
import { Redactor } from './redact.js';
import { formatJson, formatText, hasUnicode } from './report.js';
import type { Station } from './station.js';
import { TRANSPORT_CHECK } from './transport.js';

/** What is looked at follows from what the configuration turns out to be. */
function* hostChecks(subject: HostCase): Iterable<Check<HostCase>> {
  yield CONFIGURATION_CHECK;
  if (subject.resolved === null) return;
  const { passive, directPort, route } = subject.settings;
  yield TRANSPORT_CHECK;
  if (passive) return;
  yield* NETWORK_CHECKS;
  if (directPort !== null) yield of(subject.last, LOGIN_CHECK);
  else {
    if (route.proxy !== null) yield PROXY_CHECK;
    for (const station of subject.stations) {
      if (station.before !== null) yield of(station, TUNNEL_CHECK);
      for (const check of [...HANDSHAKE_CHECKS, HOST_KEY_CHECK, LOGIN_CHECK]) yield of(station, check);
    }
  }
  yield* FILE_CHECKS;
}

/** A check of one of the servers on the way, with its name where it is not the host itself. */
function of(station: Station, check: Check<Station>): Check<HostCase> {
  const title = station.isLast ? check.title : `${station.name}: ${check.title}`;
  return { ...check, title, run: () => check.run(station) };
}

/** What is known without the arguments. */
type Program = Omit<Machine, 'driver'>;

export interface Diagnosis {
  readonly text: string;
  readonly exit: ExitName;
}

export async function doctor(
  args: DoctorArguments,
  program: Program,
  tell: (text: string) => void,
): Promise<Diagnosis> {
  const meant = args.target === null ? null : await understand(args.target, args.options, program);
  const { driver = 'auto' } = (meant?.parsed ?? parseOptions(args.options)).given;
  const machine = { ...program, driver: driverOf({ driver }) };
  const place = processPlace(machine.env);
  const redactor = new Redactor([place.local.home, place.accountHome]);
  const findings = [...(await examine(LOCAL_CHECKS, machine, tell))];
  if (meant !== null) {
    const { source, parsed } = meant;
    const isAsked = parsed.given.batchMode !== true;
    const asker = isAsked ? findAsker(place.local.environment) : null;
    const password = () => (parsed.given.passwordStdin === true ? askPassword(asker) : Promise.resolve(null));
    const subject = new HostCase(source, parsed, place, prompterOf(asker, tell), password);
    try {
      findings.push(...(await examine(hostChecks(subject), subject, tell)));
    } finally {
      asker?.release();
      await subject.close();
    }
    hideHost(redactor, subject);
  }
  redactor.hide('user', place.local.user);
  redactor.hide('host', place.local.hostname);
  const exit = rootCause(findings) === null ? 'ok' : 'failure';
  return { text: report(args, findings, redactor, machine), exit };
}

/** A source or a name, with what the configuration files say of it. */
async function understand(target: string, options: readonly string[], { env, uid }: Program) {
  return understandSource(target, options, await readConfiguration(env, uid));
}

function report(
  { target, json, redact }: DoctorArguments,
  found: readonly Finding[],
  redactor: Redactor,
  { env }: Machine,
): string {
  const clean = (text: string) => (redact ? redactor.redact(text) : text);
  const cleanOrNull = (text: string | null) => (text === null ? null : clean(text));
  const findings = found.map((each) => {
    const { title, what, why, remedy } = each;
    return {
      ...each,
      title: clean(title),
      what: clean(what),
      why: cleanOrNull(why),
      remedy: cleanOrNull(remedy),
    };
  });
  const subject = target === null ? 'this machine' : clean(printable(target) || "''");
  return json ? formatJson(subject, findings) : formatText(subject, findings, hasUnicode(env));
}

/** Everything that names the host or its users. */
function hideHost(redactor: Redactor, subject: HostCase): void {
  const { source, parsed, addresses, stations } = subject;
  const session = parsePuttyTarget(withColon(source));
  const [, user = '', host = ''] = /^(?:(.*)@)?(\[[^\]]*\]|[^:]*)/s.exec(source) ?? [];
  if (session === null) {
    redactor.hide('host', host.replace(/^\[|\]$/g, ''));
    redactor.hide('user', user);
  } else redactor.hide('session', session.session);
  // What could not be understood is in the error message.
  const { proxyJump = null, hostName = null } = parsed.given;
  for (const word of `${proxyJump ?? ''} ${hostName ?? ''}`.split(/[\s@:,/[\]]+/))
    redactor.hide('host', word);
  redactor.hide('user', parsed.given.user ?? '');
  for (const { settings, login } of stations) {
    redactor.hide('host', settings.host);
    redactor.hide('host', settings.originalHost);
    redactor.hide('host', settings.hostKeyAlias ?? '');
    redactor.hide('user', settings.user);
    const certificates = login?.keyring.certificates ?? [];
    for (const name of certificates.flatMap(({ principals }) => principals)) redactor.hide('user', name);
    hideProxy(redactor, settings);
  }
  for (const address of addresses) redactor.hide('host', address);
}

/** A command may hold anything, a password as well. */
function hideProxy(redactor: Redactor, settings: ConnectSettings): void {
  const { proxy } = settings.route;
  if (proxy === null) return;
  if (proxy.kind === 'command') {
    for (const command of [proxy.command, byHand(proxy.command, settings) ?? '']) {
      redactor.hide('command', command);
      redactor.hide('command', quoted(`ProxyCommand=${command}`));
    }
  } else {
    redactor.hide('host', proxy.host);
    redactor.hide('user', proxy.user ?? '');
  }
}

function prompterOf(asker: Asker | null, tell: (text: string) => void): Prompter {
  const nobody = () => Promise.reject(new Error('there is nobody to ask'));
  return {
    interactive: asker !== null,
    secret: (question) => asker?.secret(question) ?? nobody(),
    confirm: (question) => asker?.line(question) ?? nobody(),
    // Banners and warnings; those that matter are findings.
    info: (message) => {
      if (asker !== null) tell(message);
    },
  };
}
