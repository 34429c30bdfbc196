/** Where Remora's options say more than sshfs's: names on both sides, connecting at the first use. */
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Remora } from '../../support/remora.js';
import { must, run } from '../../support/run.js';
import { Scope } from '../../support/scope.js';
import { Sshd } from '../../support/sshd.js';
import { createUser, isRoot, type SystemUser } from '../../support/user.js';

let scope: Scope;
let remora: Remora;

beforeAll(async () => {
  scope = await Scope.open('beyond');
  remora = await Remora.create(scope);
});
afterAll(async () => {
  await scope?.close();
});

describe.runIf(isRoot)('idmap=name', () => {
  /** What a user of both sides has for a number over there, and what nobody is called. */
  const ALICE_THERE = 1901;
  const NAMELESS = 77_777;
  let alice: SystemUser;
  let hereOnly: SystemUser;
  let sshd: Sshd;
  let jail: string;

  /** A server whose users are others: it serves a directory that has files of its own for passwd(5) and group(5). */
  beforeAll(async () => {
    [alice, hereOnly] = [await createUser(scope), await createUser(scope)];
    // sshd wants nothing above it to be anybody else's, which /tmp is.
    jail = await mkdtemp('/run/remora-test-');
    scope.defer('jail', () => rm(jail, { recursive: true }));
    await chmod(jail, 0o755);
    await mkdir(join(jail, 'etc'));
    const lines = (rest: string) =>
      `root:x:0:${rest}\n${alice.name}:x:${ALICE_THERE}:${rest}\nstranger:x:${alice.uid}:${rest}\n`;
    await writeFile(join(jail, 'etc', 'passwd'), lines('0::/:/bin/sh'));
    await writeFile(join(jail, 'etc', 'group'), lines(''));
    sshd = await Sshd.start(scope, { config: [`ChrootDirectory ${jail}`] });
  });

  it('goes by names in both directions, and takes no stranger for a local user', async () => {
    const disk = join(jail, 'names');
    await mkdir(disk);
    const owners = { hers: ALICE_THERE, strangers: alice.uid, nameless: NAMELESS, roots: 0 };
    for (const [name, uid] of Object.entries(owners)) {
      await writeFile(join(disk, name), name);
      await chown(join(disk, name), uid, uid);
    }
    const mounted = await remora.mount(sshd, '/names', { options: ['idmap=name'] });
    const at = (name: string) => join(mounted.directory, name);
    const shown = await must('stat', ['-c', '%n %u:%g', ...Object.keys(owners)], { cwd: mounted.directory });
    expect(shown).toBe(
      `hers ${alice.uid}:${alice.uid}\nstrangers 65534:65534\nnameless ${NAMELESS}:${NAMELESS}\nroots 0:0\n`,
    );
    await chown(at('roots'), alice.uid, alice.gid);
    expect(await stat(join(disk, 'roots'))).toMatchObject({ uid: ALICE_THERE, gid: ALICE_THERE });
    expect((await stat(at('roots'))).uid).toBe(alice.uid);
    await expect(chown(at('hers'), hereOnly.uid, 0)).rejects.toMatchObject({ code: 'EINVAL' });
    await mounted.unmount();
  });

  it('finds the numbers of whom it has not seen, and gives what users of a shared mount create to their namesakes', async () => {
    const disk = join(jail, 'shared');
    await mkdir(disk);
    await chmod(disk, 0o777);
    const mounted = await remora.mount(sshd, '/shared', {
      options: ['idmap=name,allow_other,default_permissions'],
    });
    const as = ['--reuid', String(alice.uid), '--regid', String(alice.gid), '--clear-groups'];
    await must('setpriv', [...as, 'touch', join(mounted.directory, 'f')]);
    expect((await stat(join(mounted.directory, 'f'))).uid).toBe(alice.uid);
    await expect.poll(async () => (await stat(join(disk, 'f'))).uid).toBe(ALICE_THERE);
    await mounted.unmount();
  });
});

it.runIf(isRoot)(
  'idmap=file says what is wrong with a table, and with a directory that it hides',
  async () => {
    const sshd = await Sshd.start(scope);
    const disk = await scope.makeDirectory('hidden');
    const table = join(scope.directory, 'table');
    const mountpoint = await remora.mountpoint();
    const mount = async (options: string) => {
      const source = `${sshd.user}@${sshd.host}:${disk}`;
      const { code, stderr } = await remora.run([
        source,
        mountpoint,
        ...(await remora.login(sshd)),
        '-o',
        options,
      ]);
      return [code, stderr.replaceAll(scope.directory, '')];
    };
    expect(await mount('idmap=file')).toEqual([
      2,
      'remora: idmap=file needs a uidfile, a gidfile, or both\n',
    ]);
    const missing = 'remora: /table cannot be read (ENOENT)\n';
    expect(await mount(`idmap=file,uidfile=${table}`)).toEqual([2, missing]);
    await writeFile(table, 'root\n');
    const wrong = 'remora: /table, line 1: it is NAME:ID, with the number on the server\n';
    expect(await mount(`idmap=file,uidfile=${table}`)).toEqual([2, wrong]);
    await writeFile(table, 'root:5\n');
    const [code, text] = await mount(`idmap=file,uidfile=${table}`);
    expect(code).toBe(53);
    expect(text).toMatch(/its owner is in no line of uidfile or gidfile/);
  },
);

describe('delay_connect', () => {
  it('connects when the mount is first used, and not before', async () => {
    const sshd = await Sshd.start(scope);
    const disk = await scope.makeDirectory('late');
    await writeFile(join(disk, 'f'), 'text');
    const mounted = await remora.mount(sshd, disk, { options: ['delay_connect'] });
    expect((await mounted.status()).link).toMatchObject({
      state: 'offline',
      attempts: 0,
      needsPerson: false,
    });
    expect(sshd.log).not.toContain('Accepted');
    const files = Array.from({ length: 4 }, () => readFile(join(mounted.directory, 'f'), 'utf8'));
    expect(await Promise.all(files)).toEqual(['text', 'text', 'text', 'text']);
    expect((await mounted.status()).link.state).toBe('connected');
    await mounted.unmount();
  });

  it('tells a first use that fails EHOSTDOWN, the status why, and connects when it is asked to', async () => {
    const sshd = await Sshd.start(scope);
    const disk = await scope.makeDirectory('down');
    const mounted = await remora.mount(sshd, disk, { options: ['delay_connect'] });
    await sshd.halt();
    const failed = await run('ls', [mounted.directory]);
    expect(failed.stderr).toContain('Host is down');
    const { link } = await mounted.status();
    expect(link).toMatchObject({ state: 'offline', attempts: 1, needsPerson: false });
    expect(link.reason).toContain('refuses the connection');
    await sshd.resume();
    expect((await remora.run(['reconnect', mounted.directory])).code).toBe(0);
    expect((await run('ls', [mounted.directory])).code).toBe(0);
    await mounted.unmount();
  });

  it.runIf(isRoot)('uses the password that was read before', async () => {
    const user = await createUser(scope);
    const sshd = await Sshd.start(scope);
    const mountpoint = await remora.mountpoint();
    const known = `ssh_config=none,UserKnownHostsFile=${sshd.knownHosts},PreferredAuthentications=password`;
    const source = `${user.name}@${sshd.host}:${user.home}`;
    const args = [
      source,
      mountpoint,
      '-p',
      String(sshd.port),
      '-o',
      known,
      '-o',
      'password_stdin,delay_connect',
    ];
    expect(await remora.run(args, { input: `${user.password}\n` })).toMatchObject({ code: 0, stderr: '' });
    const mounted = await remora.adopt(mountpoint);
    expect((await run('ls', [mounted.directory])).code).toBe(0);
    await mounted.unmount();
  });

  it('wants a person for what only a person can mend, and ends without ever having connected', async () => {
    const sshd = await Sshd.start(scope);
    const other = await Sshd.start(scope);
    const { host, port, user, keyFile } = sshd;
    const server = { host, port, user, keyFile, knownHosts: other.knownHosts };
    const mounted = await remora.mount(server, '/', { options: ['delay_connect'] });
    expect((await run('ls', [mounted.directory])).stderr).toContain('Host is down');
    expect((await mounted.status()).link).toMatchObject({ needsPerson: true });
    await mounted.unmount();
  });
});
