/**
 * One mount for everybody: made by root, with a login that is root on the server. Two users do the same on the mount and
 * on a local directory, and see the same: whose files are, who may do what, and what the server's disk holds then.
 */
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Remora } from '../../support/remora.js';
import { must, run } from '../../support/run.js';
import { Scope } from '../../support/scope.js';
import { Sshd } from '../../support/sshd.js';
import { createUser, isRoot, type SystemUser } from '../../support/user.js';

/** A group that the first user is in besides the own one, and whose number nothing else has. */
const TEAM = 54_321;

describe.runIf(isRoot)('a mount for everybody', () => {
  let scope: Scope;
  let sshd: Sshd;
  let remora: Remora;
  let one: SystemUser;
  let two: SystemUser;

  beforeAll(async () => {
    scope = await Scope.open('shared');
    [one, two] = [await createUser(scope), await createUser(scope)];
    sshd = await Sshd.start(scope);
    remora = await Remora.create(scope);
  });
  afterAll(async () => {
    await scope?.close();
  });

  /** A script in `directory`, with `first` and `second` as commands that run something as the one or the other user. */
  async function act(directory: string, script: string): Promise<string> {
    const env = { one: String(one.uid), two: String(two.uid), team: String(TEAM), LC_ALL: 'C' };
    const prelude = `
      exec 2>&1; cd "$1"; umask 022
      first() { setpriv --reuid "$one" --regid "$one" --groups "$team" "$@"; }
      second() { setpriv --reuid "$two" --regid "$two" --clear-groups "$@"; }
      show() { stat -c '%n %A %u:%g' "$@"; }\n`;
    const { stdout } = await run('sh', ['-c', `${prelude}${script}`, 'sh', directory], { env });
    return stdout.replaceAll(directory, '');
  }

  const CASES: Readonly<Record<string, string>> = {
    'what a user creates belongs to that user, with the modes of that user’s umask': `
      chmod 777 .
      first sh -c 'umask 077; touch f; mkdir d; ln -s f l; umask 007; touch g; install -m 4711 /bin/true h'
      show f d l g h; second sh -c 'cat f; echo mine > own; cat own'; show own; touch roots; show roots`,
    'a set-group-ID directory gives its group, and subdirectories the bit': `
      mkdir team; chown 0:$team team; chmod 2770 team
      first sh -c 'umask 007; touch team/f; mkdir team/d; touch team/d/g; ln -s f team/l'; show team team/f team/d team/d/g team/l
      second ls team; second touch team/no`,
    'a group that is one of several lets in': `
      echo text > f; chown 0:$team f; chmod 640 f; first cat f; second cat f; chmod 660 f; first sh -c 'echo more >> f'; cat f`,
    'in a sticky directory everybody removes the own files': `
      mkdir tmp; chmod 1777 tmp; first touch tmp/a tmp/b; second touch tmp/c
      second rm tmp/a; second mv tmp/b tmp/x; second rm tmp/c; first mv tmp/a tmp/y; ls tmp`,
    'permissions are the owner’s to change, and owners root’s': `
      chmod 777 .; first touch f; second chmod 666 f; first chmod 666 f; second sh -c 'echo hi > f'; second touch -d 2001-01-01 f
      second touch f; first touch -d 2001-01-01 f; first chown "$two" f; first chgrp "$team" f; show f; chown "$two" f; show f; stat -c %Y f`,
    'directories are searched and read by their bits': `
      mkdir -m 711 search; echo s > search/f; mkdir -m 744 list; echo l > list/f; mkdir -m 700 none; touch none/f
      first cat search/f; first ls search; first ls list; first cat list/f; first ls none; first rm -f search/f; second mkdir none/x`,
    'writing takes the set-user-ID bit away': `
      chmod 777 .; first touch s; first chmod 6755 s; show s; first sh -c 'echo x >> s'; show s; chown "$two" s; show s`,
  };

  it('does what a local directory does, for every user', async () => {
    const native = await scope.makeDirectory('native');
    const disk = await scope.makeDirectory('disk');
    const mounted = await remora.mount(sshd, disk, { options: ['allow_other,default_permissions'] });
    for (const [what, script] of Object.entries(CASES)) {
      const name = `case-${Object.keys(CASES).indexOf(what)}`;
      await must('mkdir', ['-m', '755', join(native, name), join(mounted.directory, name)]);
      const local = await act(join(native, name), script);
      expect(await act(join(mounted.directory, name), script), what).toBe(local);
      const tree = (root: string) => act(join(root, name), "find . -printf '%p %M %U:%G %l\\n' | sort");
      expect(await tree(disk), `${what}, on the server`).toBe(await tree(native));
    }
    await mounted.unmount();
  });

  it('without default_permissions lets everybody do what the login may, and still gives what they create to them', async () => {
    const disk = await scope.makeDirectory('free');
    await chmod(disk, 0o700);
    const mounted = await remora.mount(sshd, disk, { options: ['allow_other'] });
    expect(await act(mounted.directory, 'first touch f; second sh -c "echo x > f; cat f"; show f')).toBe(
      `x\nf -rw-r--r-- ${one.uid}:${one.gid}\n`,
    );
    await mounted.unmount();
  });

  it('leaves what is created to a login that is not root, without a word', async () => {
    const disk = await scope.makeDirectory('plain-login', one);
    const mounted = await remora.mount({ ...sshd, user: one.name }, disk, { options: ['allow_other'] });
    expect(await act(mounted.directory, 'second touch f; show f')).toBe(
      `f -rw-r--r-- ${one.uid}:${one.gid}\n`,
    );
    await mounted.unmount();
  });

  it('belongs to root and whoever mounted with allow_root', async () => {
    const disk = await scope.makeDirectory('two', one);
    await must('sh', ['-c', 'echo text > "$1/f"; chown "$2" "$1/f"', 'sh', disk, one.name]);
    const mounted = await remora.mount(sshd, disk, { options: ['allow_root'] });
    const tries = 'cat f; second cat f; second ls . || echo no';
    expect(await act(mounted.directory, tries)).toMatch(
      /^text\ncat: f: Permission denied\nls: .*Permission denied\nno\n$/,
    );
    await mounted.unmount();
  });

  it('is refused in one sentence where /etc/fuse.conf forbids it, before anything is asked', async () => {
    const [node, main] = (await Remora.create(scope, one)).program;
    // A mount namespace of its own, where the file says nothing.
    const script =
      'mount --bind /dev/null /etc/fuse.conf; exec setpriv --reuid "$1" --regid "$1" --clear-groups "$2" "$3" -o "$4" nobody@127.0.0.1:x "$5"';
    for (const option of ['allow_other', 'allow_root']) {
      const args = ['-m', 'sh', '-ec', script, 'sh', String(one.uid), node, main, option, one.home];
      const { code, stderr } = await run('unshare', args);
      expect(code).toBe(63);
      expect(stderr).toMatch(
        /^remora: allow_other and allow_root are for root only, unless \/etc\/fuse\.conf .*default_permissions.*\n$/,
      );
    }
  });

  it('takes one of the two words only', async () => {
    const mountpoint = await remora.mountpoint();
    const { code, stderr } = await remora.run([
      'nobody@127.0.0.1:',
      mountpoint,
      '-o',
      'allow_other,allow_root',
    ]);
    expect([code, stderr]).toEqual([2, 'remora: allow_other and allow_root exclude each other\n']);
  });
});
