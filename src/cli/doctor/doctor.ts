/** `remora doctor`: this machine, then a host from its name to its directory, and the report of it all. */
import { parseOptions } from '../../config/parse.js';
import type { Prompter } from '../../ssh/settings.js';
import type { DoctorArguments } from '../arguments.js';
import type { ExitName } from '../exit.js';
import { askPassword } from '../mount.js';
import { processPlace } from '../resolve.js';
import { openTerminal, type Terminal } from '../terminal.js';
import { FILE_CHECKS } from './files.js';
import { examine, type Finding, rootCause } from './finding.js';
import { HANDSHAKE_CHECKS } from './handshake.js';
import { HostCase } from './host-case.js';
import { LOCAL_CHECKS, type Machine } from './local.js';
import { LOGIN_CHECKS } from './login.js';
import { NETWORK_CHECKS } from './network.js';
import { Redactor } from './redact.js';
import { formatJson, formatText, hasUnicode } from './report.js';

const HOST_CHECKS = [...NETWORK_CHECKS, ...HANDSHAKE_CHECKS, ...LOGIN_CHECKS, ...FILE_CHECKS];

export interface Diagnosis {
  readonly text: string;
  readonly exit: ExitName;
}

export async function doctor(
  args: DoctorArguments,
  machine: Machine,
  tell: (text: string) => void,
): Promise<Diagnosis> {
  const place = processPlace(machine.env);
  const redactor = new Redactor([place.local.home, place.accountHome]);
  const findings = [...(await examine(LOCAL_CHECKS, machine, tell))];
  if (args.target !== null) {
    const parsed = parseOptions(args.options);
    const isAsked = parsed.given.batchMode !== true;
    const terminal = isAsked ? openTerminal() : null;
    const password = () =>
      parsed.given.passwordStdin === true ? askPassword(terminal) : Promise.resolve(null);
    const subject = new HostCase(args.target, parsed, place, prompterOf(terminal, tell), password);
    try {
      findings.push(...(await examine(HOST_CHECKS, subject, tell)));
    } finally {
      terminal?.release();
      await subject.close();
    }
    hideHost(redactor, subject);
  }
  redactor.hide('user', place.local.user);
  redactor.hide('host', place.local.hostname);
  const exit = rootCause(findings) === null ? 'ok' : 'failure';
  return { text: report(args, findings, redactor, machine), exit };
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
    return { ...each, what: clean(each.what), why: cleanOrNull(each.why), remedy: cleanOrNull(each.remedy) };
  });
  const subject = target === null ? 'this machine' : clean(target);
  return json ? formatJson(subject, findings) : formatText(subject, findings, hasUnicode(env));
}

/** Everything that names the host or its users. */
function hideHost(redactor: Redactor, { source, resolved, addresses }: HostCase): void {
  const [, user = '', host = ''] = /^(?:(.*)@)?(\[[^\]]*\]|[^:]*)/.exec(source) ?? [];
  redactor.hide('host', host.replace(/^\[|\]$/g, ''));
  redactor.hide('user', user);
  if (resolved !== null) {
    const { settings } = resolved;
    for (const each of [settings, ...settings.route.hops]) {
      redactor.hide('host', each.host);
      redactor.hide('host', each.originalHost);
      redactor.hide('user', each.user);
      redactor.hide('host', each.hostKeyAlias ?? '');
    }
    const { proxy } = settings.route;
    if (proxy !== null && proxy.kind !== 'command') {
      redactor.hide('host', proxy.host);
      redactor.hide('user', proxy.user ?? '');
    }
  }
  for (const address of addresses) redactor.hide('host', address);
}

function prompterOf(terminal: Terminal | null, tell: (text: string) => void): Prompter {
  const nobody = () => Promise.reject(new Error('there is nobody to ask'));
  return {
    interactive: terminal !== null,
    secret: (question) => terminal?.secret(question) ?? nobody(),
    confirm: (question) => terminal?.line(question) ?? nobody(),
    // Banners and warnings; those that matter are findings.
    info: (message) => {
      if (terminal !== null) tell(message);
    },
  };
}
