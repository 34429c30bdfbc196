/** The text of `--help`: the shapes of a call, the options that most people need, and where the rest is. */
import { EXIT } from './exit.js';

const exitRow = (name: keyof typeof EXIT) =>
  `  ${String(EXIT[name].code).padStart(3)}  ${EXIT[name].meaning}`;

const SHOWN = [
  'ok',
  'failure',
  'usage',
  'mountpoint-not-empty',
  'refused',
  'host-key-unknown',
  'authentication',
  'remote-missing',
  'no-device',
  'not-mounted',
  'busy',
  'unsent',
] as const;

export const HELP = `Usage:
  remora [user@]host:[directory] <mountpoint> [options]
                                       mount a remote directory
  remora unmount <mountpoint> [--force]
                                       send what was written, then unmount
  remora list [--json]                 your mounts
  remora status [<mountpoint>] [--json]
                                       how they are connected, what is unsent
  remora reconnect <mountpoint>        connect again now, with your answers
  remora doctor [[user@]host[:dir]] [--json] [--redact]
                                       why it does not work, and what mends it
  remora demo                          a guided tour that needs no server

Options:
  -p <port>         port of the SSH server
  -l <user>         name to log in with
  -i <file>         private key (repeatable)
  -J <host>[,...]   hosts to go through
  -F <file>         configuration of ssh; without it, the one that ssh uses
  -4, -6            IPv4 or IPv6 only
  -C                compress
  -f                stay in the foreground; Ctrl-C unmounts
  -d                debug: foreground, and a log of every layer
  -v                say what is being done
  -o <opt>[,<opt>]  mount options, spelled as for sshfs; the most used:
       ro                         read only
       idmap=user                 show the files of the remote login as yours
       uid=<n>,gid=<n>,umask=<m>  show other owners and permissions
       allow_other                let other users in
       nonempty                   mount over a directory that is not empty
       password_stdin             read the password from standard input
       StrictHostKeyChecking=<m>  yes, ask, accept-new or no
       max_conns=<n>              SSH connections: one for names, more for data
  -V, --version     the version
  -h, --help        this page

The mount also ends with: fusermount3 -u <mountpoint>, umount <mountpoint>.

Exit codes (all of them: docs/COMMANDS.md):
${SHOWN.map(exitRow).join('\n')}
`;

export const UNMOUNT_HELP = `Usage: remora unmount <mountpoint> [--force]

Sends everything that was written to the server, unmounts, and returns when the
mount and its process are gone. A mount that programs still use stays, and the
programs are named.

  -f, --force   unmount although it is in use, or the server or anything else
                hangs; programs that still use it get errors, and data that
                could not be sent is named
`;
