/** What this machine needs for any mount: the device, the helper, versions, and what earlier mounts left. */
import { execFile } from 'node:child_process';
import { lstat, open, readFile, stat } from 'node:fs/promises';
import { release } from 'node:os';
import { KOFFI_REMEDY, koffi } from '../../fuse/koffi.js';
import { findHelper } from '../../fuse/mount/helper.js';
import { findFuseMounts } from '../../fuse/mount/mounts.js';
import { FUSE_CONF, letsOthersIn, mayMount } from '../../fuse/mount/privileges.js';
import { loadFuseNative, UnusableError } from '../../libfuse/addon.js';
import { runtimeDirectory } from '../directories.js';
import { isRemora } from '../discover.js';
import type { Driver } from '../drivers.js';
import { isDeadMount } from '../mountpoint.js';
import { type Check, type Found, failure, ok, warning } from './finding.js';

export interface Machine {
  readonly env: NodeJS.ProcessEnv;
  readonly uid: number;
  readonly version: string;
  /** Of the mount in question. */
  readonly driver: Driver;
}

const DEVICE = '/dev/fuse';
const SET_USER_ID = 0o4000;
const INSTALL = 'sudo apt install fuse3';

/** Milliseconds for any of these; nothing here leaves the machine. */
const DEADLINE = 10_000;

const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? error.code : null);

async function device(): Promise<Found[]> {
  try {
    const handle = await open(DEVICE, 'r+');
    await handle.close();
    return [ok('can be opened')];
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') {
      const why = 'the module is not loaded, or this is a container that was not given the device';
      return [failure(`${DEVICE} is missing`, why, 'sudo modprobe fuse')];
    }
    if (code === 'ENXIO' || code === 'ENODEV') {
      return [
        failure(`${DEVICE} has no driver behind it`, 'the kernel module is not loaded', 'sudo modprobe fuse'),
      ];
    }
    const why = 'every user must be able to open it; mounting itself is protected otherwise';
    return [failure(`${DEVICE} may not be opened (${code})`, why, `sudo chmod 666 ${DEVICE}`)];
  }
}

async function helper({ uid, env }: Machine): Promise<Found[]> {
  const path = await findHelper(env.PATH);
  const isNeeded = !mayMount();
  if (isNeeded && uid === 0) {
    const why = 'root may not mount without it, and fusermount3 gains nothing: a container must be given it';
    return [failure('CAP_SYS_ADMIN is missing', why, 'docker run --device /dev/fuse --cap-add SYS_ADMIN …')];
  }
  if (path === null) {
    const what = 'fusermount3 is not installed';
    if (!isNeeded) return [warning(what, 'with CAP_SYS_ADMIN, as here, it is not needed', INSTALL)];
    return [failure(what, 'without root nothing else may mount', INSTALL)];
  }
  const { mode, uid: owner } = await stat(path);
  if (isNeeded && ((mode & SET_USER_ID) === 0 || owner !== 0)) {
    const why = 'it mounts in the name of root, so it must belong to root and have the set-user-id bit';
    return [failure(`${path} is not set-user-id`, why, `sudo chown root ${path} && sudo chmod 4755 ${path}`)];
  }
  return [ok(path)];
}

async function allowOther({ uid }: Machine): Promise<Found[]> {
  const text = await readFile(FUSE_CONF, 'utf8').catch(() => '');
  if (uid === 0 || mayMount()) return [ok('allow_other may be used')];
  if (letsOthersIn(text)) return [ok(`on in ${FUSE_CONF}: allow_other may be used`)];
  return [ok(`off in ${FUSE_CONF}: only -o allow_other needs it`)];
}

async function kernel(): Promise<Found[]> {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release()) ?? [];
  const version = Number(major) * 100 + Number(minor);
  // FUSE 7.31 came with Linux 5.4.
  if (version >= 504) return [ok(`Linux ${release()}`)];
  return [failure(`Linux ${release()}`, 'its FUSE is older than 7.31, which came with Linux 5.4', null)];
}

async function versions({ version, env, driver }: Machine): Promise<Found[]> {
  const node = process.versions.node;
  const [major = 0, minor = 0] = node.split('.').map(Number);
  const said = `remora ${version}, Node ${node}`;
  if (major < 20 || (major === 20 && minor < 19)) {
    return [failure(said, 'Node 20.19 or newer is needed', 'nvm install --lts')];
  }
  if (!hasKoffi()) {
    const why = `koffi, which every driver needs, has no binary for ${process.platform} on ${process.arch} here`;
    return [failure(said, why, KOFFI_REMEDY)];
  }
  const unusable = driver === 'libfuse' ? lackOfLibfuse() : null;
  if (unusable !== null) return [failure(said, unusable.what, unusable.remedy)];
  const ssh = await sshVersion(env);
  if (ssh === null) {
    const why = 'there is no ssh program: ~/.ssh/config does not count';
    return [warning(said, why, 'sudo apt install openssh-client')];
  }
  return [ok(`${said}, ${ssh}`)];
}

function hasKoffi(): boolean {
  try {
    koffi();
    return true;
  } catch {
    return false;
  }
}

/** Why the portable driver cannot be used; null where it can. */
function lackOfLibfuse(): UnusableError | null {
  try {
    loadFuseNative();
    return null;
  } catch (error) {
    if (error instanceof UnusableError) return error;
    throw error;
  }
}

/** Of the program that is started for `ssh`; null where there is none. */
function sshVersion(env: NodeJS.ProcessEnv): Promise<string | null> {
  return new Promise((resolve) => {
    execFile('ssh', ['-V'], { timeout: DEADLINE / 2, env }, (error, stdout, stderr) => {
      const isMissing = error !== null && error.code === 'ENOENT';
      resolve(isMissing ? null : `${stdout}${stderr}`.split(/[,\n]/)[0]?.trim() || 'ssh');
    });
  });
}

async function deadMounts({ uid }: Machine): Promise<Found[]> {
  const ours = (await findFuseMounts()).filter((mount) => {
    return isRemora(mount) && (mount.userId === uid || uid === 0);
  });
  const states = await Promise.all(
    ours.map(async ({ mountpoint }) => (await isDeadMount(mountpoint)) && mountpoint),
  );
  const dead = states.filter((each) => each !== false);
  if (dead.length === 0) return [ok(ours.length === 0 ? 'there are none' : `${ours.length}, all alive`)];
  const why = 'the serving process was killed';
  return dead.map((path) => warning(`${path} is dead`, why, `remora unmount '${path}'`));
}

async function runtime({ env, uid }: Machine): Promise<Found[]> {
  const path = runtimeDirectory(env, uid);
  const stats = await lstat(path).catch(() => null);
  if (stats === null) return [ok(`${path} will be made`)];
  if (!stats.isDirectory() || stats.uid !== uid) {
    const why = 'control sockets are put there, so nobody else may have made it';
    return [failure(`${path} is not a directory of yours`, why, `sudo rm -r ${path}`)];
  }
  if ((stats.mode & 0o077) === 0) return [ok(path)];
  return [warning(`others may enter ${path}`, 'control sockets are there', `chmod 700 ${path}`)];
}

const check = (id: string, title: string, run: (machine: Machine) => Promise<Found[]>): Check<Machine> => {
  return { id, title, needs: [], deadline: DEADLINE, run };
};

export const LOCAL_CHECKS: readonly Check<Machine>[] = [
  check('fuse-device', DEVICE, device),
  check('fusermount', 'fusermount3', helper),
  check('allow-other', 'user_allow_other', allowOther),
  check('kernel', 'kernel', kernel),
  check('versions', 'versions', versions),
  check('dead-mounts', 'mounts', deadMounts),
  check('runtime-directory', 'control directory', runtime),
];
