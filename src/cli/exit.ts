/**
 * Every way a command can end, in one table: the number a script sees and the sentence that documents it.
 * The names of connection and mount failures are the `kind`s of ConnectError and MountError, so that an
 * error finds its exit code without a second table. docs/COMMANDS.md lists the same rows; a test compares.
 */
import { FsError } from '../base/errno.js';
import { OptionError } from '../config/errors.js';
import { MountError } from '../fuse/mount/errors.js';
import { ConnectError } from '../ssh/errors.js';

interface ExitRow {
  /** What the process exits with, 0 to 255. */
  readonly code: number;
  readonly meaning: string;
}

export const EXIT = {
  ok: { code: 0, meaning: 'success' },
  failure: { code: 1, meaning: 'any other failure, or one that `remora doctor` found' },
  usage: { code: 2, meaning: 'wrong usage, an unknown option or a bad value' },
  daemon: { code: 3, meaning: 'the serving process died unexpectedly' },

  'mountpoint-missing': { code: 10, meaning: 'the mount point does not exist' },
  'mountpoint-not-directory': { code: 11, meaning: 'the mount point is not a directory' },
  'mountpoint-not-empty': { code: 12, meaning: 'the mount point is not empty (no `nonempty`)' },
  'mountpoint-mounted': { code: 13, meaning: 'a FUSE filesystem is already mounted there' },
  'mountpoint-permission': { code: 14, meaning: 'you may not mount there' },
  'mountpoint-stale': { code: 15, meaning: 'a dead or unresponsive mount is in the way' },

  resolve: { code: 20, meaning: 'the host name does not resolve' },
  refused: { code: 21, meaning: 'the host refuses the connection' },
  unreachable: { code: 22, meaning: 'the host cannot be reached' },
  timeout: { code: 23, meaning: 'the host does not answer in time' },
  lost: { code: 24, meaning: 'the connection was lost' },
  protocol: { code: 25, meaning: 'the server does not speak SSH or SFTP as it should' },
  proxy: { code: 26, meaning: 'the proxy makes no connection, or the ProxyCommand fails' },
  'proxy-login': { code: 27, meaning: 'the proxy wants another user and password' },

  'host-key-unknown': { code: 30, meaning: 'the host key is not known' },
  'host-key-changed': { code: 31, meaning: 'the host key has changed' },
  'host-key-revoked': { code: 32, meaning: 'the host key is revoked' },
  'host-certificate': { code: 33, meaning: 'the host is known by a certificate, for `transport=openssh`' },

  authentication: { code: 40, meaning: 'authentication failed (wrong password, key not accepted)' },
  'key-file': { code: 41, meaning: 'a key file is missing, unreadable, unprotected or malformed' },

  subsystem: { code: 50, meaning: 'the server offers no SFTP' },
  'remote-missing': { code: 51, meaning: 'the remote directory does not exist' },
  'remote-not-directory': { code: 52, meaning: 'the remote path is not a directory' },
  'remote-permission': { code: 53, meaning: 'the remote directory may not be read' },

  'no-device': { code: 60, meaning: '/dev/fuse is missing' },
  'device-permission': { code: 61, meaning: '/dev/fuse may not be opened' },
  'no-helper': { code: 62, meaning: 'fusermount3 is missing (package fuse3)' },
  'helper-failed': { code: 63, meaning: 'fusermount3 refused' },
  'mount-failed': { code: 64, meaning: 'the kernel refused the mount' },
  'no-driver': {
    code: 65,
    meaning: 'a driver is missing or cannot be loaded: koffi, or fuse-native (`driver=libfuse`)',
  },

  'not-mounted': { code: 70, meaning: 'nothing of Remora is mounted there' },
  busy: { code: 71, meaning: 'the mount is in use' },
  unsent: { code: 72, meaning: 'written data could not be sent to the server' },

  interrupted: { code: 130, meaning: 'interrupted by Ctrl-C or a signal' },
} as const satisfies Record<string, ExitRow>;

export type ExitName = keyof typeof EXIT;

/** A failure that a person is told in one sentence, and a script by its exit code. */
export class CommandError extends Error {
  readonly exit: ExitName;

  constructor(exit: ExitName, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CommandError';
    this.exit = exit;
  }
}

/** The exit and the sentence for anything that was thrown. */
export function failureOf(error: unknown): CommandError {
  if (error instanceof CommandError) return error;
  if (error instanceof OptionError) return new CommandError('usage', error.message, { cause: error });
  if (error instanceof ConnectError || error instanceof MountError) {
    return new CommandError(error.kind, error.message, { cause: error });
  }
  if (error instanceof FsError) {
    const detail = error.message === error.code ? error.code : `${error.message} (${error.code})`;
    return new CommandError('failure', detail, { cause: error });
  }
  return new CommandError('failure', error instanceof Error ? error.message : String(error), {
    cause: error,
  });
}
