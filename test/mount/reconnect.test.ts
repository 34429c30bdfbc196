/** `remora reconnect` on a terminal: the serving process's questions are shown there, and the answers reach it. */
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ControlHandler, ControlServer } from '../../src/cli/control-server.js';
import { ensurePrivateDirectory, socketName } from '../../src/cli/directories.js';
import { CommandError } from '../../src/cli/exit.js';
import { QUIET, STATUS } from '../support/control.js';
import { endProcesses } from '../support/processes.js';
import { runOnTerminal } from '../support/pty.js';
import { Remora } from '../support/remora.js';
import { must, run, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';
import { createUser, isRoot } from '../support/user.js';

const PASSWORD = 'Open-Sesame-31';

let scope: Scope;
let remora: Remora;
let mountpoint: string;

beforeAll(async () => {
  scope = await Scope.open('reconnect');
  remora = await Remora.create(scope);
  mountpoint = await remora.mountpoint();
  const { link } = STATUS;
  const offline = { ...link, state: 'offline', reason: 'no key', attempts: 1, needsPerson: true } as const;
  const handler: ControlHandler = {
    ...QUIET,
    status: () => ({ ...STATUS, mountpoint, pid: process.pid, link: offline }),
    reconnect: async (prompter) => {
      if (prompter === null) throw new CommandError('authentication', 'nobody to ask');
      prompter.info('the server wants a password');
      if ((await prompter.secret('Password: ')) !== PASSWORD) {
        throw new CommandError('authentication', 'wrong password');
      }
    },
  };
  await ensurePrivateDirectory(join(remora.home, 'remora'), process.getuid?.() ?? 0);
  const socket = join(remora.home, 'remora', socketName(mountpoint, process.pid));
  const server = await ControlServer.listen(socket, handler);
  scope.defer('control server', () => server.close());
});
afterAll(async () => {
  await scope?.close();
});

const onTerminal = (answer: string) =>
  runOnTerminal([...remora.program, 'reconnect', mountpoint], [{ expect: 'assword: ', answer }], {
    env: remora.environment,
  });

it('asks there, hidden, and ends with 0 when the mount is connected', async () => {
  const finished = await onTerminal(`${PASSWORD}\n`);
  expect(finished.code, finished.stdout).toBe(0);
  expect(finished.stdout).toContain('the server wants a password');
  expect(finished.stdout).not.toContain(PASSWORD);
});

it('says why not with the exit code of the reason: a wrong answer, none, nobody there', async () => {
  const wrong = await onTerminal('x\n');
  expect(wrong).toMatchObject({ code: 40 });
  expect(wrong.stdout).toContain('wrong password');
  expect(await onTerminal('\x03')).toMatchObject({ code: 130 });
  const alone = await remora.run(['reconnect', mountpoint]);
  expect(alone).toMatchObject({ code: 40, stderr: `remora: ${mountpoint}: nobody to ask\n` });
});

it('of what is not mounted is 70; status tells that a person is needed', async () => {
  expect(await remora.run(['reconnect', remora.home])).toMatchObject({ code: 70 });
  expect(await remora.run(['status', remora.home])).toMatchObject({ code: 70 });
  const { stdout } = await remora.run(['status', mountpoint]);
  expect(stdout).toContain(`it needs you: remora reconnect ${mountpoint}`);
  const json = JSON.parse((await remora.run(['status', mountpoint, '--json'])).stdout);
  expect(json).toMatchObject({ state: 'offline', link: { needsPerson: true }, unsent: [] });
});

describe.runIf(isRoot)('a login that is not accepted any more', () => {
  it('leaves the mount offline until a person helps; then open files go on', async () => {
    const user = await createUser(scope);
    const sshd = await Sshd.start(scope);
    const disk = await scope.makeDirectory('disk', undefined, 0o777);
    await writeFile(join(disk, 'file'), 'content');
    const place = await remora.mountpoint();
    const known = `UserKnownHostsFile=${sshd.knownHosts},GlobalKnownHostsFile=none,StrictHostKeyChecking=yes`;
    const options = `${known},PreferredAuthentications=password,password_stdin`;
    const source = `${user.name}@${sshd.host}:${disk}`;
    const mounted = await remora.run([source, place, '-p', String(sshd.port), '-o', options], {
      input: `${user.password}\n`,
    });
    expect(mounted, mounted.stderr).toMatchObject({ code: 0 });
    const mount = await remora.adopt(place);
    const held = await open(join(place, 'file'), 'r');
    await must('chpasswd', [], { input: `${user.name}:a new one\n` });
    await endProcesses([...(await sshd.sessions())], 'SIGKILL');
    await until('a person to be needed', async () => (await mount.status()).link.needsPerson);
    const refused = await run('cat', [join(place, 'other')]);
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toContain('Host is down');
    expect((await remora.run(['status', place])).stdout).toMatch(
      /it needs you: .*; 1 attempt, the next in [23]m/,
    );
    const finished = await runOnTerminal(
      [...remora.program, 'reconnect', place],
      [{ expect: 'assword: ', answer: 'a new one\n' }],
      { env: remora.environment },
    );
    expect(finished.code, finished.stdout).toBe(0);
    expect((await held.readFile()).toString()).toBe('content');
    await held.close();
    await mount.unmount();
  });
});
