/** Which check of the doctor looks closer at a failed mount. */
import type { ExitName } from '../exit.js';

const CHECKS: Partial<Record<ExitName, string>> = {
  resolve: 'name',
  refused: 'tcp',
  unreachable: 'tcp',
  timeout: 'tcp',
  lost: 'banner',
  protocol: 'banner',
  'host-key-unknown': 'host-key',
  'host-key-changed': 'host-key',
  'host-key-revoked': 'host-key',
  'host-certificate': 'host-key',
  authentication: 'login',
  'key-file': 'login',
  subsystem: 'sftp',
  'remote-missing': 'directory',
  'remote-not-directory': 'directory',
  'remote-permission': 'directory',
  'no-device': 'fuse-device',
  'device-permission': 'fuse-device',
  'no-helper': 'fusermount',
  'helper-failed': 'fusermount',
  'mountpoint-stale': 'dead-mounts',
};

/** The check that a failure belongs to; null for one that is none of the doctor's. */
export function checkOf(exit: ExitName): string | null {
  return CHECKS[exit] ?? null;
}

/** The end of the sentence about a failed mount of `source`; empty where the doctor has nothing to add. */
export function doctorHint(exit: ExitName, source: string): string {
  const check = checkOf(exit);
  return check === null ? '' : ` (see: remora doctor ${source}, ${check})`;
}
