/**
 * The programs that the tests on real mounts run, and the Debian package that brings each. One table: the
 * set-up installs what is missing where it may, and otherwise names exactly that.
 */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';

/** Programs are looked up here and nowhere else, so that a person's own shims do not take part. */
export const PROGRAM_PATH: string = [
  ...new Set([
    '/usr/local/sbin',
    '/usr/local/bin',
    '/usr/sbin',
    '/usr/bin',
    '/sbin',
    '/bin',
    dirname(process.execPath),
  ]),
].join(delimiter);

export const PACKAGES: Readonly<Record<string, string>> = {
  sshd: 'openssh-server',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  'sftp-server': 'openssh-sftp-server',
  fusermount3: 'fuse3',
  sshfs: 'sshfs',
  git: 'git',
  rsync: 'rsync',
  sqlite3: 'sqlite3',
  python3: 'python3',
  inotifywait: 'inotify-tools',
  vim: 'vim-tiny',
  tar: 'tar',
  diff: 'diffutils',
  sed: 'sed',
  cp: 'coreutils',
  mount: 'mount',
  fallocate: 'util-linux',
  setpriv: 'util-linux',
  unshare: 'util-linux',
  find: 'findutils',
  grep: 'grep',
  useradd: 'passwd',
  chpasswd: 'passwd',
  dropbear: 'dropbear-bin',
  dropbearkey: 'dropbear-bin',
  puttygen: 'putty-tools',
  plink: 'putty-tools',
  ip: 'iproute2',
  tinyproxy: 'tinyproxy-bin',
  corkscrew: 'corkscrew',
  nc: 'netcat-openbsd',
  socat: 'socat',
  autossh: 'autossh',
  bash: 'bash',
  zsh: 'zsh',
  fish: 'fish',
  man: 'man-db',
  groff: 'groff-base',
  automount: 'autofs',
};

/** Programs that stand elsewhere or under another name on some systems. */
const ALTERNATIVES: Readonly<Record<string, readonly string[]>> = {
  'sftp-server': [
    '/usr/lib/openssh/sftp-server',
    '/usr/libexec/openssh/sftp-server',
    '/usr/lib/ssh/sftp-server',
  ],
  vim: ['/usr/bin/vim.tiny', '/usr/bin/vim.basic'],
};

/** The absolute path of `program`, or null. */
export async function findProgram(program: string): Promise<string | null> {
  const places = PROGRAM_PATH.split(delimiter).map((directory) => join(directory, program));
  for (const place of [...places, ...(ALTERNATIVES[program] ?? [])]) {
    const runs = await access(place, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return place;
  }
  return null;
}

/** The absolute path of a program that the set-up made sure of. */
export async function programPath(program: string): Promise<string> {
  const path = await findProgram(program);
  if (path === null)
    throw new Error(`${program} is missing (Debian package ${PACKAGES[program] ?? program})`);
  return path;
}

/** The programs of the table that are not there. */
export async function missingPrograms(): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const program of Object.keys(PACKAGES)) {
    if ((await findProgram(program)) === null) missing.push(program);
  }
  return missing;
}
