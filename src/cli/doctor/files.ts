/**
 * After the login: is there SFTP, how good is it, does sshd there trust the keys of this user, and may the directory
 * be listed? Nothing is written on the server.
 */
import { ascii, type ByteString, decodeText, encodeText } from '../../base/bytes.js';
import { isDirectory } from '../../base/mode.js';
import { quoted } from '../../base/shell.js';
import type { SftpClient } from '../../sftp/client.js';
import { SSH_FXF_READ } from '../../sftp/constants.js';
import { CommandError } from '../exit.js';
import { formatBytes } from '../format.js';
import { findLogin, findRoot, requestedPath } from '../remote-root.js';
import { openSftp } from '../sftp.js';
import { type Check, type Found, failure, ok, skipped, warning } from './finding.js';
import type { HostCase } from './host-case.js';
import { copyCommand, originOf } from './refusal.js';
import { recognise } from './software.js';

/** Milliseconds. */
const SFTP = 40_000;
const DEADLINE = 20_000;

/** Group's and others' permission to write. */
const WRITABLE = 0o022;

/** How many answers are timed. */
const ROUNDS = 9;

/** A file must have so many bytes to be read for its throughput, and no more than that is read. */
const SAMPLE = 4 * 1024 * 1024;

/** Longest authorized_keys that is read, in bytes. */
const MAX_KEYS = 256 * 1024;

function clientOf({ client }: HostCase): SftpClient {
  if (client === null) throw new Error('there is no SFTP');
  return client;
}

async function sftp(subject: HostCase): Promise<Found[]> {
  const { target, noSftp, last } = subject;
  const { connection } = last;
  if (noSftp !== null) return [explainNoSftp(subject, noSftp)];
  if (connection === null) throw new Error('nobody is logged in');
  try {
    const client = await openSftp(connection, target.options);
    subject.client = client;
    const limits = client.limits;
    const missing = WANTED.filter(([name]) => !client.has(name));
    const what = `version 3, packets of ${formatBytes(limits.maxRead)} for reading and ${formatBytes(limits.maxWrite)} for writing, ${client.extensions.size} extensions`;
    if (missing.length === 0) return [ok(what)];
    return [ok(what, `missing: ${missing.map(([name, use]) => `${name} (${use})`).join(', ')}`)];
  } catch (error) {
    return [explainNoSftp(subject, error)];
  }
}

/** Extensions that make a difference to a user, and which. */
const WANTED = [
  ['posix-rename@openssh.com', 'replacing files safely'],
  ['statvfs@openssh.com', 'free space'],
  ['hardlink@openssh.com', 'hard links'],
  ['fsync@openssh.com', 'fsync'],
  ['limits@openssh.com', 'large packets'],
  ['copy-data', 'copying on the server'],
] as const;

function explainNoSftp(subject: HostCase, error: unknown): Found {
  const software = subject.last.probe?.theirs.software ?? '';
  const message = error instanceof Error ? error.message : String(error);
  const { sftpServer } = subject.settings;
  if (error instanceof CommandError && error.exit === 'protocol' && /prints text/.test(message)) {
    const why =
      'a login script of the server (~/.bashrc, ~/.profile, /etc/profile.d) prints text, which SFTP takes for packets; it may do so only for a terminal';
    const remedy = `on the server, first in ~/.bashrc: case $- in *i*) ;; *) return ;; esac`;
    return { ...failure(message, why, remedy), id: 'sftp-text' };
  }
  const { sftpRemedy } = recognise(software);
  const hasEnded = error instanceof CommandError ? error.exit === 'subsystem' : /program ended/.test(message);
  if (hasEnded) {
    const why = `the server starts the program for SFTP ('${sftpServer}'), and it ends at once: it is not installed, or not where it is looked for`;
    return { ...failure(message, why, sftpRemedy), id: 'sftp-program' };
  }
  const why = `the server does not offer the subsystem '${sftpServer}'`;
  return { ...failure(message, why, sftpRemedy), id: 'sftp-subsystem' };
}

/**
 * Whether sshd trusts authorized_keys (sshd_config(5), StrictModes): neither the file nor a directory up to the home
 * may be writable by anybody but the user.
 */
async function serverPermissions(subject: HostCase): Promise<Found[]> {
  const client = clientOf(subject);
  const { attempts, keyring } = subject.last.login ?? { attempts: [], keyring: null };
  const last = attempts.at(-1);
  const refused = attempts.slice(0, -1).flatMap(({ key }) => key ?? []);
  const login = await findLogin(client);
  const home = await client.realpath(ascii('.'));
  const ssh = ascii(`${home === '/' ? '' : home}/.ssh`);
  const keys = ascii(`${ssh}/authorized_keys`);
  const found: Found[] = [];
  for (const [path, isPrivate] of [
    [home, false],
    [ssh, true],
    [keys, true],
  ] as const) {
    const stats = await client.stat(path).catch(() => null);
    const mode = stats?.permissions;
    if (stats === null || mode === undefined) continue;
    const shown = decodeText(path);
    const make = refused.length > 0 && !last?.key ? failure : warning;
    if ((mode & WRITABLE) !== 0) {
      const right = isDirectory(mode) ? (isPrivate ? '700' : '755') : '600';
      const what = `${shown} on the server is writable by others (mode ${(mode & 0o7777).toString(8)})`;
      const why = last?.key
        ? `this server bears it, but sshd usually ignores the keys then (StrictModes); ${right} is right`
        : `so sshd does not trust the keys in it and ignores them (StrictModes); ${right} is right`;
      found.push(make(what, why, subject.last.remote(`chmod ${right} ${quoted(shown)}`)));
    } else if (stats.uid !== undefined && login !== null && stats.uid !== login.uid && stats.uid !== 0) {
      const what = `${shown} on the server belongs to user ${stats.uid}, and the login is ${login.uid}`;
      const why = 'so sshd does not trust it';
      const remedy = `on the server: sudo chown ${subject.settings.user} ${quoted(shown)}`;
      found.push(make(what, why, remedy));
    }
  }
  if (found.length > 0) return found;
  if (refused.length === 0 || keyring === null)
    return [ok('home, .ssh and authorized_keys are writable by their owner only')];
  const text = await readText(client, keys);
  const present = refused.filter((key) => text.includes(key.toString('base64')));
  const shown = refused.map((key) => originOf(key, keyring)).join('; ');
  if (present.length > 0) {
    const why =
      'the server has a reason that cannot be seen from here: AuthorizedKeysFile, or from= and other options of the line';
    return [
      warning(
        `a key that is in authorized_keys was refused: ${shown}`,
        why,
        'on the server: sudo journalctl -u ssh -n 50',
      ),
    ];
  }
  const remedy = copyCommand(
    { keyring, command: (program, options) => subject.last.command(program, options) },
    refused,
  );
  return [warning(`not in ${decodeText(keys)} of the server: ${shown}`, 'so a password was needed', remedy)];
}

/** Empty for a file that cannot be read. */
async function readText(client: SftpClient, path: ByteString): Promise<string> {
  const handle = await client.open(path, SSH_FXF_READ).catch(() => null);
  if (handle === null) return '';
  let text = '';
  try {
    const target = Buffer.alloc(Math.min(client.limits.maxRead, 32 * 1024));
    while (text.length < MAX_KEYS) {
      const read = await client.readInto(handle, text.length, [target]);
      if (read === 0) break;
      text += target.toString('latin1', 0, read);
    }
  } finally {
    await client.close(handle);
  }
  return text;
}

/** The directory of the source, as the server is asked for it. */
function askedFor({ target: { target, options } }: HostCase): ByteString {
  return requestedPath(target.directory, options.subdir === null ? null : encodeText(options.subdir));
}

async function directory(subject: HostCase): Promise<Found[]> {
  const client = clientOf(subject);
  const asked = askedFor(subject);
  try {
    const root = await findRoot(client, subject.source, asked, true);
    return [ok(`${decodeText(root)} can be listed`)];
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const path = quoted(decodeText(asked));
    const exit = error instanceof CommandError ? error.exit : 'failure';
    switch (exit) {
      case 'remote-missing':
        return [failure(message, 'it is mistyped, or was removed', subject.last.remote(`mkdir -p ${path}`))];
      case 'remote-not-directory':
        return [failure(message, 'only directories can be mounted', subject.last.remote(`ls -ld ${path}`))];
      case 'remote-permission': {
        const why = `${subject.settings.user} may not read it, or not enter a directory above it`;
        return [failure(message, why, `on the server: namei -l ${path}`)];
      }
      default:
        return [failure(message, null, null)];
    }
  }
}

async function roundTrip(subject: HostCase): Promise<Found[]> {
  const client = clientOf(subject);
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now();
    await client.lstat(ascii('.'));
    times.push(performance.now() - started);
  }
  const median = times.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0;
  const what = `${median.toFixed(median < 10 ? 1 : 0)} ms (median of ${ROUNDS})`;
  if (median < 300) return [ok(what)];
  return [
    warning(
      what,
      'the way is long or crowded: reading ahead helps, single requests are slow',
      '-o dcache_timeout=60',
    ),
  ];
}

async function throughput(subject: HostCase): Promise<Found[]> {
  const client = clientOf(subject);
  const root = await findRoot(client, subject.source, askedFor(subject), false);
  const path = await findLarge(client, root);
  if (path === null) return [skipped(`no file of ${formatBytes(SAMPLE)} in ${decodeText(root)} to read`)];
  const handle = await client.open(path, SSH_FXF_READ).catch(() => null);
  if (handle === null) return [skipped('no large file may be read')];
  try {
    const { maxRead } = client.limits;
    const offsets = Array.from({ length: Math.floor(SAMPLE / maxRead) }, (_, index) => index * maxRead);
    const started = performance.now();
    const sizes = await Promise.all(
      offsets.map((offset) => client.readInto(handle, offset, [Buffer.allocUnsafe(maxRead)])),
    );
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    const perSecond = (bytes / Math.max(1, performance.now() - started)) * 1000;
    return [ok(`${formatBytes(Math.round(perSecond))} per second, reading ${formatBytes(bytes)}`)];
  } finally {
    await client.close(handle);
  }
}

/** The first large file among the first names of `directory`. */
async function findLarge(client: SftpClient, path: ByteString): Promise<ByteString | null> {
  const handle = await client.opendir(path);
  try {
    const names = (await client.readdir(handle)) ?? [];
    const large = names.find(({ attributes: { size = 0, permissions = 0 } }) => {
      return size >= SAMPLE && (permissions & 0o170000) === 0o100000;
    });
    return large === undefined ? null : ascii(`${path}/${large.filename}`);
  } finally {
    await client.close(handle);
  }
}

export const FILE_CHECKS: readonly Check<HostCase>[] = [
  { id: 'sftp', title: 'SFTP', needs: ['login'], deadline: SFTP, run: sftp },
  {
    id: 'server-permissions',
    title: 'modes on the server',
    needs: ['sftp'],
    deadline: DEADLINE,
    run: serverPermissions,
  },
  { id: 'directory', title: 'directory', needs: ['sftp'], deadline: DEADLINE, run: directory },
  { id: 'round-trip', title: 'round trip', needs: ['sftp'], deadline: DEADLINE, run: roundTrip },
  {
    id: 'throughput',
    title: 'throughput',
    needs: ['sftp', 'directory'],
    deadline: DEADLINE,
    run: throughput,
  },
];
