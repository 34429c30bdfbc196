/** What this machine lacks: the device, the helper, the programs; and what earlier mounts have left. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Diagnosis, expectCause } from '../support/doctor.js';
import { programPath } from '../support/packages.js';
import { Remora } from '../support/remora.js';
import { must, run } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { createUser, type SystemUser } from '../support/user.js';

let scope: Scope;
let remora: Remora;
let user: SystemUser;
/** As somebody who is not root. */
let plain: Remora;

beforeAll(async () => {
  scope = await Scope.open('doctor-local');
  remora = await Remora.create(scope);
  user = await createUser(scope);
  plain = await Remora.create(scope, user);
});
afterAll(async () => {
  await scope?.close();
});

async function look(who: Remora, env: Readonly<Record<string, string>> = {}): Promise<Diagnosis> {
  const { code, stdout, stderr } = await who.run(['doctor', '--json'], { env });
  if (stdout === '') throw new Error(stderr);
  return { code, ...JSON.parse(stdout) };
}

/** In a mount namespace of its own, after `script`. */
async function within(who: Remora, script: string): Promise<Diagnosis> {
  const [node, main] = who.program;
  const { as } = who;
  const drop = as === undefined ? '' : `setpriv --reuid=${as.uid} --regid=${as.gid} --clear-groups`;
  const args = ['-m', 'sh', '-c', `${script}; exec ${drop} "$0" "$@"`, node, main, 'doctor', '--json'];
  const { code, stdout, stderr } = await run('unshare', args, { env: who.environment });
  if (stdout === '') throw new Error(stderr);
  return { code, ...JSON.parse(stdout) };
}

it('a machine that is as it should be, for root and for others', async () => {
  for (const who of [remora, plain]) expect(await look(who)).toMatchObject({ code: 0, cause: null });
});

it('no /dev/fuse', async () => {
  expectCause(await within(remora, 'mount -t tmpfs none /dev'), 'fuse-device', 'sudo modprobe fuse');
});

describe('fusermount3', () => {
  const programs = '$(for d in /usr/bin /bin /usr/local/bin; do ls $d/fusermount3 $d/fusermount; done 2>&-)';
  const put = (file: string) => `for f in ${programs}; do mount --bind ${file} "$f"; done`;
  const verdict = ({ findings }: Diagnosis) => findings.find(({ id }) => id === 'fusermount')?.verdict;

  it('that is not there, which root can do without', async () => {
    const file = join(scope.directory, 'plain');
    await writeFile(file, '', { mode: 0o644 });
    const script = put(file);
    expect(verdict(await within(remora, script))).toBe('warning');
    expectCause(await within(plain, script), 'fusermount', 'sudo apt install fuse3');
  });

  it('that gains root nothing where CAP_SYS_ADMIN is missing', async () => {
    const without = 'exec setpriv --bounding-set=-sys_admin --inh-caps=-all "$0" "$@"';
    expectCause(await within(remora, without), 'fusermount', /--cap-add SYS_ADMIN/);
  });

  it('that may not mount for others', async () => {
    const copy = join(scope.directory, 'copy');
    await must('install', ['-m', '755', await programPath('fusermount3'), copy]);
    expectCause(await within(plain, put(copy)), 'fusermount', /^sudo chown root \S+ && sudo chmod 4755 \S+$/);
  });
});

it('no ssh program', async () => {
  const { findings } = await look(remora, { PATH: scope.directory });
  expect(findings.find(({ id }) => id === 'versions')).toMatchObject({
    verdict: 'warning',
    remedy: 'sudo apt install openssh-client',
  });
});

it('a control directory that others may enter', async () => {
  const directory = join(remora.home, 'remora');
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o755);
  const { code, findings } = await look(remora);
  expect(code).toBe(0);
  expect(findings.find(({ id }) => id === 'runtime-directory')).toMatchObject({
    verdict: 'warning',
    remedy: `chmod 700 ${directory}`,
  });
});

it('a control directory of somebody else', async () => {
  const directory = join(plain.home, 'remora');
  await mkdir(directory, { mode: 0o700 });
  expectCause(await look(plain), 'runtime-directory', `sudo rm -r ${directory}`);
});
