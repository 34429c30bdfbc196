/**
 * A program as somebody else writes it with the library, compiled by the test against the package's own types. It
 * serves a directory of its own and plays one scene with it; what came out goes to standard output as JSON.
 *
 *     node program.mjs <scene> <directory> <mountpoint>
 *     node program.mjs leave <settings as JSON> <mountpoint>
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  connect,
  decodeText,
  encodeText,
  type LinkStatus,
  list,
  type MountSettings,
  mount,
  RemoraError,
  SftpStatusError,
  SSH_FXF_READ,
  status,
  unmount,
} from 'remora-fs';
import { type RunningServer, startServer } from 'remora-fs/server';

const run = promisify(execFile);
const [scene = '', directory = '', mountpoint = ''] = process.argv.slice(2);
const server = await startServer({
  root: scene === 'leave' ? '/' : directory,
  user: 'guest',
  password: 'secret',
});
const source = 'guest@127.0.0.1:/';
const knownHosts = join(mountpoint, '..', `known-${process.pid}`);
await writeFile(knownHosts, `[127.0.0.1]:${server.port} ${server.hostKey}\n`);

/** Nothing of this machine's own counts. */
const login = {
  options: {
    port: server.port,
    configFile: 'none',
    identityFiles: ['none'],
    identityAgent: 'none',
    userKnownHostsFiles: [knownHosts],
    globalKnownHostsFiles: ['none'],
  },
  password: 'secret',
} satisfies MountSettings;

const withOptions = (more: MountSettings['options']): MountSettings => {
  return { ...login, options: { ...login.options, ...more } };
};

/** What a program reads; another one, since this one may be serving. */
async function cat(name: string): Promise<string> {
  return (await run('cat', [join(mountpoint, name)])).stdout;
}

/** How `work` failed. */
async function failure(work: Promise<unknown>): Promise<{ code: string; message: string } | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (!(error instanceof RemoraError)) throw error;
    return { code: error.code, message: error.message };
  }
}

/** Mounts, looks at everything a mount tells, and unmounts. */
async function life(serve: NonNullable<MountSettings['serve']>, host: RunningServer): Promise<unknown> {
  const mounted = await mount(source, mountpoint, { ...login, serve });
  const states: string[] = [];
  mounted.events.on('link', ({ state }: LinkStatus) => states.push(state));
  const hello = await cat('hello');
  await run('sh', ['-c', 'echo written > "$0"', join(mountpoint, 'new')]);
  await mounted.flush();

  const back = new Promise<void>((resolve) => {
    mounted.events.on('link', ({ state }) => state === 'connected' && resolve());
  });
  host.dropConnections();
  await back;

  const { state, link, pid } = await mounted.status();
  const listed = (await list()).filter((row) => row.mountpoint === mountpoint);
  const end = once(mounted.events, 'end');
  await mounted.unmount();
  return {
    hello,
    states,
    status: { state, link: link.state, isOwnProcess: pid === process.pid, pid: pid === mounted.pid },
    listed: listed.map((row) => row.state),
    end: await end,
    ended: await mounted.ended,
    afterwards: await failure(mounted.status()),
    again: await failure(mounted.unmount()),
    byPath: await failure(unmount(mountpoint)),
  };
}

const SCENES: Record<string, () => Promise<unknown>> = {
  child: () => life('child', server),
  detached: () => life('detached', server),
  'in-process': () => life('in-process', server),

  async failures() {
    const wrong = { ...login, password: 'wrong' };
    const { password, ...unasked } = login;
    const unknown = withOptions({ userKnownHostsFiles: ['/nonexistent'], strictHostKeyChecking: 'yes' });
    const controller = new AbortController();
    const never = () => new Promise<never>(() => controller.abort());
    return {
      password: await failure(mount(source, mountpoint, wrong)),
      inProcess: await failure(mount(source, mountpoint, { ...wrong, serve: 'in-process' })),
      hostKey: await failure(mount(source, mountpoint, unknown)),
      mountpoint: await failure(mount(source, join(mountpoint, 'missing'), login)),
      source: await failure(mount('nonsense', mountpoint, login)),
      option: await failure(mount(source, mountpoint, JSON.parse('{"options":{"prot":22}}'))),
      range: await failure(mount(source, mountpoint, withOptions({ maxConns: 0 }))),
      command: await failure(mount(source, mountpoint, { ...login, o: ['password_stdin'] })),
      aborted: await failure(
        mount(source, mountpoint, { ...unasked, signal: controller.signal, ask: never }),
      ),
      gaveUp: await failure(mount(source, mountpoint, { ...unasked, ask: () => null })),
      nobody: await failure(mount(source, mountpoint, unasked)),
      nothing: await failure(unmount(mountpoint)),
      status: await failure(status(mountpoint)),
      sftp: await failure(connect(source, wrong)),
    };
  },

  /** A mount that asks, that is in use, and that is ended by force. */
  async use() {
    const asked: string[] = [];
    const { password, ...unasked } = login;
    const mounted = await mount(source, mountpoint, {
      ...unasked,
      ask: ({ text, hidden }) => {
        asked.push(`${hidden ? 'secret' : 'open'}: ${text}`);
        return password;
      },
    });
    // Not by `cwd`: spawn waits for the child's chdir, which waits for the SFTP server in this process.
    const holder = spawn('sh', ['-c', 'cd "$0" && echo && exec sleep 60', mountpoint]);
    await once(holder.stdout, 'data');
    const busy = await failure(mounted.unmount());
    const { state } = await status(mountpoint);
    await mounted.unmount({ force: true });
    holder.kill();
    return { asked, busy, state, ended: await mounted.ended };
  },

  /** Serves until somebody else unmounts. */
  async wait() {
    const mounted = await mount(source, mountpoint, { ...login, serve: 'in-process' });
    return { ended: await mounted.ended };
  },

  async sftp() {
    await using session = await connect(source, login);
    const { client } = session;
    const handle = await client.opendir(session.directory);
    const names: string[] = [];
    for (let some = await client.readdir(handle); some !== null; some = await client.readdir(handle)) {
      names.push(...some.map(({ filename }) => decodeText(filename)));
    }
    await client.close(handle);
    const file = await client.open(encodeText('/hello'), SSH_FXF_READ);
    const bytes = Buffer.alloc(100);
    const length = await client.readInto(file, 0, [bytes]);
    await client.close(file);
    const missing = await client.stat(encodeText('/missing')).catch((error: unknown) => error);
    return {
      names: names.filter((name) => !name.startsWith('.')),
      hello: bytes.toString('utf8', 0, length),
      missing: missing instanceof SftpStatusError ? missing.code : missing,
      server: session.server,
    };
  },
};

/** Mounts from a server that lives on, and is gone without a word; answers the serving process. */
async function leave(request: string): Promise<never> {
  const { source, how, ...settings } = JSON.parse(request) as MountSettings & {
    source: string;
    how: 'exit' | 'kill';
  };
  const mounted = await mount(source, mountpoint, settings);
  await new Promise((resolve) => process.stdout.write(JSON.stringify(mounted.pid), resolve));
  if (how === 'kill') process.kill(process.pid, 'SIGKILL');
  process.exit(0);
}

const result = scene === 'leave' ? await leave(directory) : await SCENES[scene]?.();
await server.close();
process.stdout.write(JSON.stringify(result));
