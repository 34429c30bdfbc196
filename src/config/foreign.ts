/**
 * Option words that change nothing in Remora: those of sshfs and libfuse that have no use here, those that
 * belong to mount(8) and init systems, and those that are refused because they are not supported yet.
 * Every one carries its reason, for the log and for the error message. The words of ssh_config that change nothing
 * are in ssh-keywords.ts.
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
  ignored('open always asks whether the file changed.', 'auto_cache', 'ac_attr_timeout'),
  ignored('inodes are kept as long as the kernel knows them.', 'remember', 'noforget'),
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
  ignored('requests are always served concurrently.', 'async_read', 'sync_read', 'no_remote_lock'),
  ignored('a word for mount(8) or the init system.', 'auto', 'noauto', 'user', 'nouser', 'users', 'nousers'),
  ignored('a word for mount(8) or the init system.', 'owner', 'group', '_netdev', 'nofail', 'defaults'),
  ignored('a word for mount(8) or the init system.', 'async', 'x-*', 'comment', 'uhelper', 'helper'),
  refused('Remora passes names through as bytes', 'from_code', 'to_code'),
  refused('is not supported yet', 'uidfile', 'gidfile', 'nomap'),
  refused('is not supported yet', 'follow_symlinks', 'transform_symlinks', 'rellinks', 'norellinks'),
  refused('is not supported: there is only version 2', 'ssh_protocol'),
  refused('is not supported yet', 'delay_connect', 'allow_root'),
  refused('is not supported yet', 'sync', 'dirsync', 'sshfs_debug', 'sshfs_verbose'),
];
