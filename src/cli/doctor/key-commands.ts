/** What is done with a key on the command line, by the programs of its format: each knows only its own. */

import { quoted } from '../../base/shell.js';
import type { LocalKey } from './keys.js';

type Key = Pick<LocalKey, 'path' | 'format'>;

/** Prints the public half as a line of authorized_keys. */
export function showPublic({ path, format }: Key): string {
  switch (format) {
    case 'openssh':
      return `ssh-keygen -y -f ${quoted(path)}`;
    case 'putty':
      return `puttygen -L ${quoted(path)}`;
    case 'dropbear':
      return `dropbearkey -y -f ${quoted(path)} | grep -E '^(ssh|ecdsa)-'`;
  }
}

/** Unlocks it for all programs, once. */
export function addToAgent({ path, format }: Key): string {
  if (format !== 'putty') return `ssh-add ${quoted(path)}`;
  const copy = quoted(`${path.replace(/\.ppk$/i, '')}.openssh`);
  return `puttygen ${quoted(path)} -O private-openssh -o ${copy} && ssh-add ${copy}`;
}

/** Brings it to authorized_keys of the server that `command` logs in to; null for the agent's keys. */
export function bringToServer(
  key: (Key & Pick<LocalKey, 'hasPublicFile'>) | null,
  command: (program?: string, options?: string) => string,
): string {
  if (key === null) return command('ssh-copy-id');
  if (key.hasPublicFile) return command('ssh-copy-id', ` -i ${quoted(`${key.path}.pub`)}`);
  const append = 'umask 077; mkdir -p ~/.ssh; cat >> ~/.ssh/authorized_keys';
  return `${showPublic(key)} | ${command()} '${append}'`;
}
