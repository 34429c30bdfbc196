/** Which check of the doctor looks closer at a failed mount. */

import { quoted } from '../../base/shell.js';
import type { Driver } from '../drivers.js';
import type { ExitName } from '../exit.js';

/** Null where the sentence about the failure says all there is to say. */
const CHECKS: Readonly<Record<ExitName, string | null>> = {
  ok: null,
  failure: null,
  usage: null,
  daemon: null,
  'mountpoint-missing': null,
  'mountpoint-not-directory': null,
  'mountpoint-not-empty': null,
  'mountpoint-mounted': null,
  'mountpoint-permission': null,
  'mountpoint-stale': 'dead-mounts',
  resolve: 'name',
  refused: 'tcp',
  unreachable: 'tcp',
  timeout: 'tcp',
  proxy: 'proxy',
  'proxy-login': 'proxy',
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
  'mount-failed': 'kernel',
  'no-driver': 'versions',
  'not-mounted': null,
  busy: null,
  unsent: null,
  interrupted: null,
};

/** The check that a failure belongs to; null for one that is none of the doctor's. */
export function checkOf(exit: ExitName): string | null {
  return CHECKS[exit];
}

/** The end of the sentence about a failed mount of `source`; empty where the doctor has nothing to add. */
export function doctorHint(exit: ExitName, source: string, driver: Driver = 'direct'): string {
  const check = checkOf(exit);
  const how = driver === 'libfuse' ? ' -o driver=libfuse' : '';
  return check === null ? '' : ` (see: remora doctor ${quoted(source)}${how}, ${check})`;
}
