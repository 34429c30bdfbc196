/** Which transport a mount would use, and why: the doctor logs in with the same one. */

import { quoted } from '../../base/shell.js';
import { splitCommand } from '../../ssh/openssh/command.js';
import { hasProgram, knowsWay, whyOpenSsh } from '../../ssh/transport.js';
import { type Check, type Found, failure, ok, warning } from './finding.js';
import type { HostCase } from './host-case.js';
import { proxyCommand } from './station.js';

/** Milliseconds: files are read, and an agent is asked. */
const DEADLINE = 15_000;

const BUILT_IN = 'the built-in one (ssh2)';

async function transport(subject: HostCase): Promise<Found[]> {
  const { settings, surroundings } = subject;
  const { directPort, passive } = settings;
  if (passive) return [ok('none: SFTP is spoken over standard input and output (passive)')];
  if (directPort !== null) return [ok(`none: SFTP over TCP, port ${directPort}, without SSH (directport)`)];

  const lack = await lackOf(subject);
  if (settings.transport === 'openssh') {
    subject.speaker = 'openssh';
    if (lack !== null) return [failure(lack.what, 'transport=openssh wants it', lack.remedy)];
    return [ok('the ssh program, as transport=openssh says')];
  }
  const reason = await whyOpenSsh(settings, surroundings);
  if (settings.transport === 'ssh2') {
    const what = `${BUILT_IN}, as transport=ssh2 says`;
    if (reason === null) return [ok(what)];
    return [warning(what, `${reason}, which is for the ssh program alone`, '-o transport=auto')];
  }
  if (reason === null) {
    subject.mayTurnToProgram = lack === null;
    return [ok(BUILT_IN)];
  }
  if (lack !== null) return [warning(`${BUILT_IN}, since ${lack.what}`, `but ${reason}`, lack.remedy)];
  subject.speaker = 'openssh';
  return [ok(`the ssh program, since ${reason}`)];
}

/** Why the ssh program cannot be taken, and what mends that; null where it can. */
async function lackOf({
  settings,
  surroundings,
}: HostCase): Promise<{ what: string; remedy: string } | null> {
  const { sshCommand, route } = settings;
  const [file = 'ssh'] = splitCommand(sshCommand ?? 'ssh');
  if (!(await hasProgram(surroundings, file))) {
    if (sshCommand === null)
      return { what: 'there is no ssh program', remedy: 'sudo apt install openssh-client' };
    return { what: `there is no program '${file}' (ssh_command)`, remedy: `command -v ${quoted(file)}` };
  }
  if (knowsWay(settings) || route.proxy === null || route.proxy.kind === 'command') return null;
  const [first] = route.hops;
  const line = `ProxyCommand ${proxyCommand(route.proxy)}`;
  return {
    what: 'the ssh program cannot take a proxy to its hops',
    remedy: `in ssh_config, below Host ${first?.originalHost ?? ''}: ${line}`,
  };
}

/** For what ssh2 turns out to be unable to do; answers whether a mount would go on with the ssh program. */
export function turnToProgram(subject: HostCase): boolean {
  if (subject.mayTurnToProgram) subject.speaker = 'openssh';
  return subject.speaker === 'openssh';
}

export const TRANSPORT_CHECK: Check<HostCase> = {
  id: 'transport',
  title: 'transport',
  needs: ['configuration'],
  deadline: DEADLINE,
  run: transport,
};
