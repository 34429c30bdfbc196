/**
 * Option words that change nothing in Remora: those of sshfs and libfuse that have no use here, those that
 * belong to mount(8) and init systems, and those that are refused because they are not supported yet.
 * Every one carries its reason, for the log and for the error message. The words of ssh_config that change nothing
 * are in ssh-keywords.ts. Words of other programs are refused, with the name that is meant.
 */

export interface ForeignWord {
  readonly names: readonly string[];
  readonly effect: 'ignored' | 'refused';
  readonly reason: string;
}

const ignored = (reason: string, ...names: string[]): ForeignWord => ({ names, effect: 'ignored', reason });
const refused = (reason: string, ...names: string[]): ForeignWord => ({ names, effect: 'refused', reason });

/** A name that ends in `*` stands for all that begin with what is before it. */
export const FOREIGN: readonly ForeignWord[] = [
  ignored('Renames and times need no workaround here.', 'workaround'),
  ignored(
    'the caches evict what is old when they are full.',
    'dcache_clean_interval',
    'dcache_min_clean_interval',
    'cache_clean_interval',
    'cache_min_clean_interval',
  ),
  ignored(
    'an open asks whether the file changed, unless that was asked a moment ago (ac_attr_timeout).',
    'auto_cache',
    'noauto_cache',
  ),
  ignored(
    'inodes are kept as long as the kernel knows them.',
    'remember',
    'noforget',
    'use_ino',
    'readdir_ino',
  ),
  ignored('there is one thread, and many requests at once.', 'clone_fd', 'max_threads', 'max_idle_threads'),
  ignored('the kernel is told what the filesystem can take.', 'max_background', 'congestion_threshold'),
  ignored('closing a file that was only read costs nothing.', 'no_rofd_flush'),
  ignored('opening and emptying a file is one request.', 'atomic_o_trunc'),
  ignored('there is only version 2 of SSH.', 'ssh_protocol'),
  ignored('large requests are always used.', 'big_writes', 'large_read', 'max_readahead'),
  ignored('a call that waits is ended by a fatal signal.', 'intr', 'intr_signal'),
  ignored('open files survive being removed.', 'hard_remove'),
  ignored('data arrives over SSH, so there is nothing to splice.', 'splice_*', 'no_splice_*'),
  ignored(
    'the server keeps the access times.',
    'nodiratime',
    'diratime',
    'relatime',
    'norelatime',
    'strictatime',
    'nostrictatime',
  ),
  ignored('requests are always served concurrently.', 'async_read', 'sync_read'),
  ignored(
    'locks hold among the programs of this machine.',
    'no_remote_lock',
    'no_remote_flock',
    'no_remote_posix_lock',
  ),
  ignored('a word for mount(8) or the init system.', 'auto', 'noauto', 'user', 'nouser', 'users', 'nousers'),
  ignored('a word for mount(8) or the init system.', 'owner', 'group', '_netdev', 'nofail', 'defaults'),
  ignored('a word for mount(8) or the init system.', 'x-*', 'X-*', 'comment', 'uhelper', 'helper'),
  ignored('a word for mount(8) or the init system.', '_rnetdev', 'silent', 'loud', 'nomand'),
  refused('Remora passes names through as bytes', 'from_code', 'to_code'),
  refused('is not supported: unmount, and mount again with the other options', 'remount'),
];

/** What people know from elsewhere, in small letters without separators, and what it is called here. */
export const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['readonly', 'ro'],
  ['readwrite', 'rw'],
  ['username', 'User'],
  ['login', 'User'],
  ['identity', 'IdentityFile'],
  ['key', 'IdentityFile'],
  ['keyfile', 'IdentityFile'],
  ['privatekey', 'IdentityFile'],
  ['password', 'password_stdin'],
  ['pass', 'password_stdin'],
  ['jump', 'ProxyJump'],
  ['jumphost', 'ProxyJump'],
  ['compress', 'compression'],
]);
