/**
 * The same mount by sshfs and by Remora, for each option that has an effect, and what a program sees in both: the
 * output, errors and endings of a script that works in the mount, and the mount table's line. They are the same, but
 * for differences that are wanted: those stand here with their reason.
 *
 * Ways to log in and to reach a server (ssh_command, sftp_server, directport, passive, password_stdin) are the matter
 * of transports.test.ts and cli-prompts.test.ts; what `reconnect` does, of reconnect.test.ts.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mountAt } from '../../support/processes.js';
import { Remora } from '../../support/remora.js';
import { must, run } from '../../support/run.js';
import { Scope } from '../../support/scope.js';
import { Sshd } from '../../support/sshd.js';
import { createUser, isRoot, type SystemUser } from '../../support/user.js';

interface Row {
  readonly options: string;
  /** Runs in the mount. `$disk` is the mounted directory on the server, `$user` somebody who is not root. */
  readonly script: string;
  /** Further options that only one of them needs, or spells so. */
  readonly onlySshfs?: string;
  readonly onlyRemora?: string;
  /** What is mounted, if not a tree of its own. */
  readonly source?: string;
  /** Log in as the plain user. */
  readonly asUser?: true;
  /** Why a program sees something else in Remora's mount, and what that is. */
  readonly unlike?: { readonly reason: string; readonly sees: RegExp };
}

/** What is there, by names, types, owners, permissions, sizes and targets. */
const LOOK = `
  for f in *; do stat -c '%n %F %a %u:%g %s' "$f"; done
  for l in *; do if [ -L "$l" ]; then readlink "$l"; fi; done
  cat plain dir/inner; ls dir`;
const IO = `
  head -c 700000 /dev/zero | tr '\\0' x > big; cksum < big; printf tail >> big; cp big copy; cmp big copy
  truncate -s 5 big; cat big; mv copy moved; rm big; mkdir -p a/b; touch a/b/c; find a | sort; ls; cksum < "$disk/moved"`;
const AS_USER = 'setpriv --reuid "$user" --regid "$user" --clear-groups';

const ROWS: readonly Row[] = [
  { options: 'no_contain_symlinks', script: LOOK },
  { options: 'reconnect,sshfs_sync,no_readahead,sync_readdir', script: IO },
  { options: 'max_read=65536,max_write=32768,max_conns=2,workaround=rename:renamexdev', script: IO },
  { options: 'dir_cache=no,kernel_cache,auto_cache,ac_attr_timeout=0,remember=5,noforget', script: IO },
  { options: 'compression=yes,no_check_root,ssh_protocol=2', onlyRemora: 'sshfs_debug', script: IO },
  { options: 'direct_io', script: IO },
  {
    options:
      'dcache_max_size=100,dcache_clean_interval=5,dcache_min_clean_interval=1,dcache_timeout=60,attr_timeout=60',
    script:
      'ls dir; stat -c %s plain; touch "$disk/dir/new"; echo more >> "$disk/plain"; ls dir; stat -c %s plain',
  },
  {
    options: 'dir_cache=no,attr_timeout=0,entry_timeout=0,negative_timeout=0',
    script: `ls dir; stat -c %s plain; cat gone; touch "$disk/dir/new" "$disk/gone"; echo more >> "$disk/plain"
      ls dir; stat -c %s plain; cat gone plain`,
  },
  {
    options:
      'cache=yes,dcache_stat_timeout=0,dcache_dir_timeout=0,dcache_link_timeout=0,attr_timeout=0,entry_timeout=0,no_contain_symlinks',
    script: `readlink link; ln -sfn dir "$disk/link"; sleep 0.01; readlink link; ls dir; rm "$disk/dir/inner"; ls dir`,
    unlike: {
      reason: 'a time of 0 trusts nothing; sshfs counts in whole seconds',
      sees: /^plain\ndir\nabsolute\ninner\nsideways\nabsolute\nsideways\nexit 0/,
    },
  },
  {
    options: 'idmap=user,no_contain_symlinks',
    asUser: true,
    script: `${LOOK}; touch new; stat -c %u new; stat -c %U "$disk/new"`,
  },
  {
    options: 'idmap=file,uidfile=ids/users,gidfile=ids/groups,nomap=ignore,no_contain_symlinks',
    script: `${LOOK}; chown daemon:bin plain; stat -c %u:%g plain "$disk/plain"; chown 99:98 plain; stat -c %u:%g plain "$disk/plain"`,
  },
  {
    options: 'idmap=file,uidfile=ids/users,gidfile=ids/groups',
    script:
      'cat plain; chown 99 plain; chown 1:2 plain; stat -c %u:%g plain "$disk/plain"; stat foreign; cat foreign; touch new',
  },
  {
    options: 'idmap=file,uidfile=ids/users,gidfile=ids/groups,nomap=error',
    script: 'ls',
    unlike: {
      reason:
        'one file of a stranger does not make the whole directory unreadable; the file itself is EPERM in both',
      sees: /dangling[\s\S]*foreign[\s\S]*exit 0/,
    },
  },
  {
    options: 'uid=1234,gid=4321,umask=027,no_contain_symlinks',
    script: `${LOOK}; touch new; chown 1234:4321 new; stat -c '%a %u:%g' new`,
  },
  {
    options: 'umask=077',
    script: 'stat -c "%n %a %u" plain dir foreign; touch new; chmod 644 new; stat -c %a new "$disk/new"',
  },
  {
    options: 'follow_symlinks',
    script: `for f in abs link plain todir up; do stat -c '%n %F %a %u:%g %s' "$f"; done; cat abs link todir/inner; readlink link
      echo via > link; cat "$disk/plain"; rm link; ls -A "$disk"; ln -s plain another; mv todir moved; readlink "$disk/moved"; stat -c %F moved`,
    unlike: {
      reason:
        'making a link fails in sshfs (EIO) though it was made, since the answer describes what it leads to',
      sees: /^abs regular file[\s\S]*\nvia\n[\s\S]*\ndir\ndirectory\nexit 0/,
    },
  },
  {
    options: 'follow_symlinks',
    script: 'stat -c \'%F\' dangling; rm dangling; ls -A "$disk"',
    unlike: {
      reason: 'a link that leads nowhere is shown as the link it is, so that it can be seen and removed',
      sees: /^symbolic link\nabs\ndir\nforeign\n[\s\S]*exit 0/,
    },
  },
  {
    options: 'transform_symlinks,no_contain_symlinks',
    script: 'readlink abs out up dangling link dir/absolute; cat abs dir/absolute',
  },
  { options: 'no_contain_symlinks', script: 'readlink abs out up dangling link; cat abs link' },
  {
    options: 'contain_symlinks',
    script: 'readlink abs; readlink out; readlink dangling link; readlink dir/absolute; cat abs',
    unlike: {
      reason: 'a target that is refused is EXDEV, as with openat2(2), and not a matter of permissions',
      sees: /^dangling|nowhere\nplain\n[\s\S]*abs: Invalid cross-device link/,
    },
  },
  {
    options: 'contain_symlinks',
    script: 'readlink dir/sideways; cat dir/sideways',
    unlike: {
      reason: '".." that stays within the mount is harmless',
      sees: /^\.\.\/plain\nsome text\nexit 0/,
    },
  },
  {
    options: 'rw',
    script: 'readlink abs; cat abs',
    unlike: {
      reason:
        'what sshfs refuses by default are links that trees of an honest server are full of; contain_symlinks=strict refuses them',
      sees: /^\S+\/plain\nsome text\nexit 0/,
    },
  },
  { options: 'modules=subdir,subdir=/dir', script: 'ls; cat inner; touch new; ls "$disk/dir"' },
  { options: 'disable_hardlink', script: 'ln plain second; ls' },
  {
    options: 'ro',
    script:
      'cat plain; touch new; rm plain; mkdir d; echo x >> plain; mv plain other; chmod 600 plain; ln -s x y',
  },
  { options: 'noexec', script: './run; cat run' },
  { options: 'exec,suid,dev,noatime', script: './run; stat -c %a run' },
  { options: 'sync,dirsync', script: IO },
  { options: 'fsname=a\\,name,subtype=sort', script: 'cat plain' },
  { options: 'allow_other', script: `${AS_USER} cat plain secret; ${AS_USER} touch new; stat -c %F new` },
  {
    options: 'allow_other,default_permissions',
    script: `${AS_USER} cat plain secret; ${AS_USER} touch new; ${AS_USER} touch open/new; ls open; ${AS_USER} rm open/theirs; ${AS_USER} chmod 777 plain`,
    unlike: {
      reason: 'what a user creates belongs to that user, who may then set its times',
      sees: /^some text\ncat: secret: Permission denied\ntouch: cannot touch 'new': Permission denied\nnew\ntheirs\nrm: cannot remove 'open.theirs': Operation not permitted\nchmod: /,
    },
  },
  { options: 'allow_root', script: `cat plain; ${AS_USER} cat plain; ${AS_USER} ls dir` },
  { options: 'rw', script: `cat plain; ${AS_USER} cat plain` },
  { options: 'delay_connect,no_contain_symlinks', script: LOOK },
  { options: 'no_check_root', source: 'missing', script: 'ls -d "$1"; ls "$1/x"; mkdir "$1/y"' },
  {
    options: 'direct_io',
    source: '/proc',
    script: 'cmp version /proc/version; head -c 10 version; cat sys/kernel/ostype; wc -c < cmdline',
  },
  {
    options: 'rw',
    source: '/proc',
    script: 'cmp version /proc/version; cat sys/kernel/ostype',
    unlike: { reason: 'files that say they are empty and are not are recognised', sees: /^Linux\nexit 0/ },
  },
  { options: 'rw', source: '/sys/kernel', script: 'cat mm/transparent_hugepage/defrag' },
];

/** Neither is what the option is about: how large a request the kernel makes, and whose mount it is. */
const OWN_WORDS = /^(max_read=.*|fuse\.(sshfs|remora))$/;

describe.runIf(isRoot)('sshfs and Remora', () => {
  let scope: Scope;
  let sshd: Sshd;
  let user: SystemUser;
  let remora: Remora;
  let trees = 0;

  beforeAll(async () => {
    scope = await Scope.open('parity');
    user = await createUser(scope);
    sshd = await Sshd.start(scope);
    remora = await Remora.create(scope);
    const ids = await scope.makeDirectory('ids');
    await writeFile(join(ids, 'users'), 'root:0\ndaemon:12345\nno-such-user-here:7\n');
    await writeFile(join(ids, 'groups'), 'root:0\nbin:23456\n');
  });
  afterAll(async () => {
    await scope?.close();
  });

  /** The same tree for each of them. */
  async function tree(owner?: SystemUser): Promise<string> {
    const disk = join(scope.directory, `tree-${++trees}`);
    await mkdir(disk);
    await must('sh', [
      '-euc',
      `cd "$1"; mkdir dir open; echo some text > plain; echo inside > dir/inner; echo foreign > foreign; echo s > secret
       printf '#!/bin/sh\\necho ran\\n' > run; ln -s plain link; ln -s dir todir; ln -s "$1/plain" abs; ln -s /etc/hostname out
       ln -s nowhere dangling; ln -s ../../../../../etc up; ln -s "$1/dir/inner" dir/absolute; ln -s ../plain dir/sideways
       touch open/theirs; chmod 644 plain dir/inner foreign; chmod 600 secret; chmod 4755 run; chmod 1777 open
       chown 12345:23456 plain; chown 777:888 foreign; if [ -n "$2" ]; then chown -hR "$2" .; chown 0:0 foreign; fi`,
      'sh',
      disk,
      owner?.name ?? '',
    ]);
    return disk;
  }

  /** Runs the script in a mount at `directory`, and tells all that a program sees; takes the mount away. */
  async function look(row: Row, directory: string, disk: string): Promise<string> {
    const env = { disk, user: String(user.uid), LC_ALL: 'C' };
    const script = `exec 2>&1; cd "$1"; ${row.script}\necho exit $?`;
    const inside = await run('sh', ['-c', script, 'sh', directory], { env });
    const line = await mountAt(directory);
    const { type = '', options = '', superOptions = '' } = line ?? {};
    const all = [type, ...options.split(','), ...superOptions.split(',')];
    const words = [...new Set(all)].filter((word) => !OWN_WORDS.test(word)).sort();
    return `${inside.stdout}${words.join(',')}\n`.replaceAll(directory, '<mount>').replaceAll(disk, '<disk>');
  }

  const optionsOf = ({ options }: Row, own = '') =>
    [options, own]
      .filter((part) => part !== '')
      .join(',')
      .replaceAll('=ids/', `=${scope.directory}/ids/`);

  async function bySshfs(row: Row): Promise<string> {
    const disk = await tree(row.asUser && user);
    const directory = await scope.makeDirectory(`${basename(disk)}-sshfs`);
    const login = row.asUser ? user.name : sshd.user;
    const ssh = `ssh -F none -i ${sshd.keyFile} -o UserKnownHostsFile=${sshd.knownHosts} -o IdentitiesOnly=yes`;
    const args = ['-o', optionsOf(row, row.onlySshfs), '-o', `ssh_command=${ssh}`, '-p', String(sshd.port)];
    const made = await run('sshfs', [...args, `${login}@${sshd.host}:${sourceOf(row, disk)}`, directory], {
      env: scope.environment,
    });
    expect(made.code, made.stderr).toBe(0);
    try {
      return await look(row, directory, disk);
    } finally {
      await must('umount', [directory]);
    }
  }

  async function byRemora(row: Row): Promise<string> {
    const disk = await tree(row.asUser && user);
    const server = row.asUser
      ? {
          host: sshd.host,
          port: sshd.port,
          keyFile: sshd.keyFile,
          knownHosts: sshd.knownHosts,
          user: user.name,
        }
      : sshd;
    const mounted = await remora.mount(server, sourceOf(row, disk), {
      options: [optionsOf(row, row.onlyRemora)],
    });
    try {
      return await look(row, mounted.directory, disk);
    } finally {
      await mounted.unmount();
    }
  }

  const sourceOf = ({ source }: Row, disk: string) =>
    source === undefined ? disk : source.startsWith('/') ? source : `${disk}/${source}`;

  it.concurrent.each(ROWS)('$options: $script', async (row) => {
    const [theirs, ours] = await Promise.all([bySshfs(row), byRemora(row)]);
    if (row.unlike === undefined) {
      expect(ours).toBe(theirs);
    } else {
      expect(ours, row.unlike.reason).not.toBe(theirs);
      expect(ours, row.unlike.reason).toMatch(row.unlike.sees);
    }
  });
});
