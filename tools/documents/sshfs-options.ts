/**
 * Every option of sshfs (its manual and `sshfs -h`, with libfuse's), and what becomes of it here. The verdict is not
 * written down: the parser itself is asked.
 */

import { OptionError } from '../../src/config/errors.js';
import { FOREIGN } from '../../src/config/foreign.js';
import { parseOptions } from '../../src/config/parse.js';
import { SSH_KEYWORDS } from '../../src/config/ssh-keywords.js';

export interface SshfsOption {
  /** As in sshfs's manual; alternatives are separated by spaces. */
  readonly words: string;
  readonly does: string;
  /** What differs here, or has to be added. */
  readonly note?: string;
}

export const SSHFS_OPTIONS: readonly SshfsOption[] = [
  { words: 'port=22', does: 'port of the SSH server' },
  { words: 'compression=yes', does: 'zlib' },
  {
    words: 'reconnect',
    does: 'connect again when the connection is lost',
    note: 'always on, and open files survive; `no_reconnect` turns it off',
  },
  { words: 'delay_connect', does: 'connect at the first access' },
  { words: 'sshfs_sync', does: 'wait for each write' },
  { words: 'no_readahead', does: 'read only what is asked for' },
  { words: 'sync_readdir', does: 'list directories one request at a time' },
  {
    words: 'workaround=rename',
    does: 'work around faults of servers, in renaming for instance',
    note: 'replacing files and EXDEV need none',
  },
  { words: 'idmap=none idmap=user idmap=file', does: 'owners of files' },
  { words: 'uidfile=/etc/hostname gidfile=/etc/hostname nomap=ignore', does: 'tables for `idmap=file`' },
  { words: 'ssh_command=ssh', does: 'another ssh program' },
  { words: 'ssh_protocol=2', does: 'version of the SSH protocol' },
  { words: 'sftp_server=sftp', does: 'another subsystem, or the path of a server' },
  { words: 'directport=22', does: 'SFTP over plain TCP' },
  { words: 'passive slave', does: 'SFTP over standard input and output' },
  { words: 'disable_hardlink', does: 'no hard links', note: 'EPERM, where sshfs answers ENOSYS' },
  { words: 'follow_symlinks', does: 'symbolic links are followed on the server' },
  { words: 'transform_symlinks', does: 'absolute links become relative' },
  {
    words: 'contain_symlinks no_contain_symlinks',
    does: 'links that lead out are refused',
    note: 'four degrees; by default absolute links work',
  },
  { words: 'no_check_root', does: 'the directory is not looked at before mounting' },
  { words: 'password_stdin', does: 'password from standard input' },
  { words: 'max_conns=2', does: 'several SSH connections', note: '2 by default: data beside names' },
  { words: 'dir_cache=yes cache=yes', does: 'the directory cache' },
  {
    words: 'dcache_timeout=20 dcache_stat_timeout=20 dcache_link_timeout=20 dcache_dir_timeout=20',
    does: 'how long it is trusted',
  },
  {
    words: 'cache_timeout=20 cache_stat_timeout=20 cache_link_timeout=20 cache_dir_timeout=20',
    does: 'the same, in older spelling',
  },
  {
    words: 'dcache_max_size=10000 cache_max_size=10000',
    does: 'how much it holds',
    note: 'names; 200000 by default',
  },
  {
    words:
      'dcache_clean_interval=60 dcache_min_clean_interval=5 cache_clean_interval=60 cache_min_clean_interval=5',
    does: 'when it is cleaned',
  },
  { words: 'direct_io', does: "no page cache of the kernel's" },
  { words: 'sshfs_debug', does: "sshfs's own log" },
  { words: 'kernel_cache', does: 'pages stay, whatever happens on the server' },
  { words: 'auto_cache noauto_cache', does: 'pages stay while the file is the same' },
  { words: 'ac_attr_timeout=1', does: 'how long an open believes what it knows of the file' },
  { words: 'no_rofd_flush', does: 'no flush of files opened for reading' },
  { words: 'entry_timeout=1 attr_timeout=1 negative_timeout=0', does: 'how long the kernel trusts' },
  { words: 'noforget remember=1', does: 'keep inodes' },
  { words: 'umask=022 uid=0 gid=0', does: 'owners and permissions as you like' },
  {
    words: 'max_read=65536 max_write=65536',
    does: 'size of requests',
    note: "by default what the server's `limits@openssh.com` allows",
  },
  { words: 'allow_other', does: 'other users may see the mount' },
  { words: 'allow_root', does: 'root may see the mount' },
  { words: 'default_permissions', does: 'the kernel checks permissions' },
  { words: 'auto_unmount', does: 'unmount when the process ends', note: 'on by default' },
  { words: 'ro rw', does: 'read-only or not' },
  { words: 'suid nosuid dev nodev exec noexec', does: 'what files may do' },
  { words: 'atime noatime', does: 'access times' },
  { words: 'sync dirsync async', does: 'synchronous input and output' },
  { words: 'nonempty', does: 'mount over what is there' },
  { words: 'fsname=x subtype=x', does: 'source and type in the mount table' },
  { words: 'big_writes large_read', does: 'large requests' },
  { words: 'modules=subdir subdir=x', does: 'a directory below the source', note: '`subdir=DIR`' },
  { words: 'rellinks norellinks', does: "subdir's links become relative" },
  { words: 'modules=iconv from_code=latin1 to_code=latin1', does: 'other encodings of names' },
  { words: 'auto noauto user users _netdev nofail x-systemd.automount', does: 'words of fstab' },
];

/** What Remora does with one word. */
export function verdictOn(word: string): string {
  try {
    const { given } = parseOptions([word]);
    if (Object.keys(given).length > 0) return 'yes';
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    return `refused: ${reasonOf(error.message.replace(/^option '[^']*' /, ''))}`;
  }
  const name = word.replace(/=.*/, '');
  const known = [...FOREIGN, ...SSH_KEYWORDS].find(({ names }) =>
    names.some((each) => each === name || (each.endsWith('*') && name.startsWith(each.slice(0, -1)))),
  );
  return known === undefined ? 'yes' : `no effect: ${reasonOf(known.reason)}`;
}

/** As the end of a sentence. */
export function reasonOf(reason: string): string {
  return reason
    .replace(/^is not supported: /, '')
    .replace(/^is /, '')
    .replace(/\.$/, '');
}

/** Whether sshfs has an option of this name. */
export function isWordOfSshfs(name: string): boolean {
  return SSHFS_OPTIONS.some(({ words }) => words.split(' ').some((word) => word.replace(/=.*/, '') === name));
}
