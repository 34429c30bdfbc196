/** Errors of a server that has no more handles to give: a mount tells them, and works again when some are free. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ErrnoCase, endings } from '../support/errno-driver.js';
import { limitHandles } from '../support/faults/server.js';
import { programPath } from '../support/packages.js';
import { Remora } from '../support/remora.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';

const OPENING = `
fds = []
try:
    for index in range(64):
        fds.append(os.open(f'{d}/f{index}', os.O_RDWR | os.O_CREAT))
finally:
    for fd in fds: os.close(fd)`;
const CASES: readonly ErrnoCase[] = [
  ['many files', 'EMFILE', OPENING],
  ['and it works afterwards', 'ok', "open(d + '/new', 'w').close(); os.listdir(d)"],
];
const EXPECTED = Object.fromEntries(CASES.map(([name, errno]) => [name, errno]));
const FEW = 24;

let scope: Scope;
let remora: Remora;

beforeAll(async () => {
  scope = await Scope.open('handles');
  remora = await Remora.create(scope);
});
afterAll(async () => {
  await scope?.close();
});

it('because it has few from the beginning: EMFILE', async () => {
  const disk = await scope.makeDirectory('few');
  const sshd = await Sshd.start(scope, {
    sftp: `prlimit --nofile=${FEW}:${FEW} ${await programPath('sftp-server')}`,
  });
  const mount = await remora.mount(sshd, disk);
  expect(await endings(scope, mount.directory, CASES)).toEqual(EXPECTED);
  await mount.unmount();
});

it('because its limit was lowered: EMFILE', async () => {
  const disk = await scope.makeDirectory('lowered');
  const sshd = await Sshd.start(scope, { sftp: 'external' });
  const mount = await remora.mount(sshd, disk);
  await limitHandles(sshd, FEW);
  expect(await endings(scope, mount.directory, CASES)).toEqual(EXPECTED);
  await mount.unmount();
});
