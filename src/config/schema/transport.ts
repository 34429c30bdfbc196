/** What carries SFTP to the server: which SSH implementation, or none. Names are those of sshfs where it has them. */
import { choice, flag, integer, type Options, text } from '../kinds.js';

export const TRANSPORT = {
  transport: choice({
    group: 'Connection',
    names: ['transport'],
    choices: ['auto', 'ssh2', 'openssh'],
    fallback: 'auto',
    help: 'Who speaks SSH: Remora itself (ssh2), the ssh program (openssh), or Remora unless only ssh can (auto).',
  }),
  sshCommand: text({
    group: 'Connection',
    names: ['ssh_command'],
    placeholder: 'COMMAND',
    fallback: null,
    help: 'Program to run instead of ssh, with arguments; a space within a word is written \\\\ followed by it.',
  }),
  directPort: integer({
    group: 'Connection',
    names: ['directport'],
    min: 1,
    max: 65535,
    fallback: null,
    help: 'Port of an SFTP server that is reached over TCP without SSH: no encryption and no login.',
  }),
  passive: flag({
    group: 'Connection',
    names: ['passive', 'slave'],
    fallback: false,
    help: 'Speak SFTP over standard input and output, in the foreground.',
  }),
} as const satisfies Options;
