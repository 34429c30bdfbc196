/** Mounts through the real proxies and hops; each is lost in the middle of a copy, and the copy is whole in the end. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { descendants, endProcesses } from '../support/processes.js';
import { type Mounted, Remora } from '../support/remora.js';
import { must, run, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { makeKey } from '../support/server.js';
import { service, tinyproxyArguments } from '../support/services.js';
import { accepts, freePort, Sshd, type SshdOptions } from '../support/sshd.js';
import { isRoot } from '../support/user.js';

let scope: Scope;
let sshd: Sshd;
let remora: Remora;
let disk: string;

beforeAll(async () => {
  scope = await Scope.open('routes');
  sshd = await Sshd.start(scope);
  remora = await Remora.create(scope);
  disk = await scope.makeDirectory('disk');
  await must('dd', ['if=/dev/urandom', `of=${disk}/big`, 'bs=1M', 'count=128', 'status=none']);
});
afterAll(async () => {
  await scope?.close();
});

interface Restartable {
  readonly port: number;
  restart(): Promise<void>;
}

async function restartable(program: string, args: readonly string[], port: number): Promise<Restartable> {
  let child = await service(scope, program, args, port);
  const restart = async () => {
    if (child.pid !== undefined)
      await endProcesses([child.pid, ...(await descendants(child.pid))], 'SIGKILL');
    child = await service(scope, program, args, port);
  };
  return { port, restart };
}

let configurations = 0;

async function tinyproxy(...lines: string[]): Promise<Restartable> {
  const port = await freePort();
  return restartable('tinyproxy', await tinyproxyArguments(scope, port, lines), port);
}

/** Copies a large file through the mount, with an accident as soon as a part of it is there. */
async function survives(mounted: Mounted, accident: () => Promise<unknown>): Promise<void> {
  const copy = join(scope.directory, `copy-${++configurations}`);
  const copying = run('cp', [join(mounted.directory, 'big'), copy]);
  await until('a part of the copy', async () => ((await stat(copy).catch(() => null))?.size ?? 0) > 0);
  await accident();
  expect(await copying).toMatchObject({ code: 0, stderr: '' });
  await must('cmp', [join(disk, 'big'), copy]);
  await must('rm', [copy]);
  await writeFile(join(mounted.directory, 'new'), 'written');
  expect(await readFile(join(disk, 'new'), 'utf8')).toBe('written');
}

/** What a mount that cannot be made says. */
async function refusal(options: readonly string[]): Promise<string> {
  const args = [
    `${sshd.user}@${sshd.host}:${disk}`,
    await remora.mountpoint(),
    ...(await remora.login(sshd)),
  ];
  const finished = await remora.run([...args, ...options.flatMap((option) => ['-o', option])]);
  expect(finished.code).not.toBe(0);
  return finished.stderr;
}

describe('an HTTP proxy', () => {
  it('without authentication', async () => {
    const proxy = await tinyproxy(`ConnectPort ${sshd.port}`);
    const mounted = await remora.mount(sshd, disk, { options: [`http_proxy=127.0.0.1:${proxy.port}`] });
    await survives(mounted, () => proxy.restart());
    await mounted.unmount();
  });

  it('with a user and a password, of the option, of a file and of corkscrew’s variable', async () => {
    const proxy = await tinyproxy('BasicAuth bob secret');
    const at = `127.0.0.1:${proxy.port}`;
    const file = join(scope.directory, 'proxy-auth');
    await writeFile(file, 'bob:secret\n', { mode: 0o600 });
    const ways = [
      { options: [`http_proxy=bob:secret@${at}`] },
      { options: [`http_proxy=${at}`, `http_proxy_auth=${file}`] },
      { options: [`http_proxy=${at}`], env: { CORKSCREW_AUTH: 'bob:secret' } },
    ];
    for (const way of ways) await (await remora.mount(sshd, disk, way)).unmount();
    expect(await refusal([`http_proxy=${at}`])).toMatch(/it wants a user and a password .*407/);
    expect(await refusal([`http_proxy=bob:wrong@${at}`])).toMatch(/does not accept this user.*: 40[17]/);
    await must('chmod', ['644', file]);
    expect(await refusal([`http_proxy=${at}`, `http_proxy_auth=${file}`])).toContain('others can read');
  });

  it('that does not permit the port', async () => {
    const proxy = await tinyproxy('ConnectPort 443');
    expect(await refusal([`http_proxy=127.0.0.1:${proxy.port}`])).toMatch(/does not permit .*403/);
  });

  it('that is not there', async () => {
    const port = await freePort();
    expect(await refusal([`http_proxy=127.0.0.1:${port}`])).toMatch(/through the HTTP proxy .*ECONNREFUSED/);
  });
});

/** A server that takes a certificate of its login key, and nothing else. */
async function certified(options: SshdOptions = {}): Promise<Sshd> {
  const authority = await makeKey(scope, `authority-${++configurations}`);
  const only = [`TrustedUserCAKeys ${authority}.pub`, 'AuthorizedKeysFile none', 'PasswordAuthentication no'];
  const server = await Sshd.start(scope, { ...options, config: only });
  await must('ssh-keygen', ['-q', '-s', authority, '-I', 'me', '-n', server.user, `${server.keyFile}.pub`]);
  return server;
}

describe('the ssh program through a proxy of ours', () => {
  /** Command lines and environments of all that a mount has started. */
  async function shown(mounted: Mounted): Promise<string> {
    const files = (await descendants(mounted.pid)).flatMap((pid) => [
      `/proc/${pid}/cmdline`,
      `/proc/${pid}/environ`,
    ]);
    return (await Promise.all(files.map((file) => readFile(file, 'latin1').catch(() => '')))).join('\n');
  }

  it('HTTP with a user and a password, which nobody sees, for a certificate', async () => {
    const server = await certified();
    const proxy = await tinyproxy('BasicAuth bob secret');
    const options = [`http_proxy=bob:secret@127.0.0.1:${proxy.port}`];
    const mounted = await remora.mount(server, disk, { options });
    const seen = await shown(mounted);
    expect(seen).toMatch(/relay-program\.js/);
    expect(seen).not.toContain('secret');
    await survives(mounted, () => proxy.restart());
    await mounted.unmount();
    const ended = await until('no relay to be left', async () => !(await shown(mounted)).includes('relay'));
    expect(ended).toBe(true);
  });

  it('SOCKS', async () => {
    const { port } = await socksProxy();
    const options = [`socks_proxy=127.0.0.1:${port}`, 'transport=openssh'];
    const mounted = await remora.mount(sshd, disk, { options });
    expect((await readFile(join(mounted.directory, 'big'))).length).toBe(128 << 20);
    await mounted.unmount();
  });

  it('fails as the built-in transport does', async () => {
    const proxy = await tinyproxy('BasicAuth bob secret');
    const at = `127.0.0.1:${proxy.port}`;
    const closed = `127.0.0.1:${await freePort()}`;
    for (const options of [[`http_proxy=${at}`], [`http_proxy=bob:wrong@${at}`], [`http_proxy=${closed}`]]) {
      const texts = [await refusal(options), await refusal([...options, 'transport=openssh'])];
      expect(texts[1]).toBe(texts[0]);
      expect(texts[1]).toContain('through the HTTP proxy');
    }
  });
});

describe('a ProxyCommand', () => {
  const ways: readonly (readonly [string, (proxy: number) => string])[] = [
    ['nc', () => 'nc %h %p'],
    ['socat', () => 'socat - TCP:%h:%p'],
    ['corkscrew', (proxy) => `corkscrew 127.0.0.1 ${proxy} %h %p`],
    ['a pipeline of a shell', () => 'cat | nc "%h" %p | cat'],
  ];
  it.each(ways)('%s', async (name, commandOf) => {
    const proxy = name === 'corkscrew' ? (await tinyproxy()).port : 0;
    const mounted = await remora.mount(sshd, disk, { options: [`ProxyCommand=${commandOf(proxy)}`] });
    const commands = async () => {
      const found: number[] = [];
      for (const pid of await descendants(mounted.pid)) {
        const command = await readFile(`/proc/${pid}/comm`, 'latin1').catch(() => '');
        if (/^(nc|socat|corkscrew|cat)\n/.test(command)) found.push(pid);
      }
      return found;
    };
    expect((await commands()).length).toBeGreaterThan(0);
    await survives(mounted, async () => endProcesses(await commands(), 'SIGKILL'));
    await mounted.unmount();
  });

  it('that fails: with what it says', async () => {
    const text = await refusal(['ProxyCommand=sh -c "echo no way >&2; exit 3"']);
    expect(text).toMatch(/the ProxyCommand for .* ended with exit code 3: no way/);
  });
});

/** That of ssh -D. */
async function socksProxy(): Promise<Restartable> {
  const hop = await Sshd.start(scope);
  const port = await freePort();
  const known = ['-o', `UserKnownHostsFile=${hop.knownHosts}`, '-i', hop.keyFile, '-F', 'none'];
  const to = ['-p', `${hop.port}`, `${hop.user}@${hop.host}`];
  return restartable('ssh', ['-N', '-D', `127.0.0.1:${port}`, ...known, ...to], port);
}

it('a SOCKS proxy, versions 5, 4 and 4a', async () => {
  const proxy = await socksProxy();
  const { port } = proxy;
  for (const scheme of ['socks4', 'socks4a']) {
    const options = [`socks_proxy=${scheme}://127.0.0.1:${port}`];
    await (await remora.mount(sshd, disk, { options })).unmount();
  }
  const mounted = await remora.mount(sshd, disk, { options: [`socks_proxy=127.0.0.1:${port}`] });
  await survives(mounted, () => proxy.restart());
  await mounted.unmount();
  const closed = await freePort();
  await proxy.restart();
  const args = [`${sshd.user}@${sshd.host}:`, await remora.mountpoint(), ...(await remora.login(sshd))];
  const refused = await remora.run([...args, '-p', `${closed}`, '-o', `socks_proxy=127.0.0.1:${port}`]);
  expect(refused.stderr).toMatch(/through the SOCKS proxy .*: .+/);
});

it('a tunnel that autossh keeps', async () => {
  const hop = await Sshd.start(scope);
  const port = await freePort();
  const known = ['-o', `UserKnownHostsFile=${hop.knownHosts}`, '-i', hop.keyFile, '-F', 'none'];
  const forward = ['-M', '0', '-N', '-L', `127.0.0.1:${port}:${sshd.host}:${sshd.port}`];
  const to = ['-p', `${hop.port}`, `${hop.user}@${hop.host}`];
  const autossh = await service(scope, 'autossh', [...forward, ...known, ...to], port);
  const mounted = await remora.mount({ ...sshd, port, host: sshd.host, user: sshd.user }, disk, {
    options: [`HostKeyAlias=[${sshd.host}]:${sshd.port}`],
  });
  await survives(mounted, async () => endProcesses(await descendants(autossh.pid ?? 0), 'SIGKILL'));
  await mounted.unmount();
});

describe.runIf(isRoot)('hops', () => {
  let hop: Sshd;
  let inner: Sshd;
  const id = Math.random().toString(36).slice(2, 8);
  const namespace = `remora-${id}`;

  /** The hop stands in a network of its own, on whose loopback alone the server listens. */
  beforeAll(async () => {
    const [a, b] = [200 + (Date.now() % 50), Date.now() % 250];
    await must('ip', ['netns', 'add', namespace]);
    scope.defer('network', () => must('ip', ['netns', 'del', namespace]).then(() => {}));
    await must('ip', [
      'link',
      'add',
      `rm${id}`,
      'type',
      'veth',
      'peer',
      'name',
      'inside',
      'netns',
      namespace,
    ]);
    await must('ip', ['addr', 'add', `10.${a}.${b}.1/24`, 'dev', `rm${id}`]);
    await must('ip', ['link', 'set', `rm${id}`, 'up']);
    await must('ip', ['-n', namespace, 'addr', 'add', `10.${a}.${b}.2/24`, 'dev', 'inside']);
    for (const device of ['inside', 'lo']) await must('ip', ['-n', namespace, 'link', 'set', device, 'up']);
    hop = await Sshd.start(scope, { network: { namespace, address: `10.${a}.${b}.2` } });
    inner = await Sshd.start(scope, { network: { namespace, address: '127.0.0.1' } });
  });

  async function configuration(last: Sshd, known = hop.knownHosts, first = hop): Promise<string> {
    const file = join(scope.directory, `ssh-config-${++configurations}`);
    const host = (name: string, server: Sshd, knownHosts: string) => `Host ${name}
      HostName ${server.host}
      Port ${server.port}
      User ${server.user}
      IdentityFile ${server.keyFile}
      UserKnownHostsFile ${knownHosts}
      GlobalKnownHostsFile none
      StrictHostKeyChecking yes
      BatchMode yes
    `;
    const hosts = [
      `${host('inner', last, last.knownHosts)} ProxyJump hop`,
      `${host('far', last, last.knownHosts)} ProxyJump hop,middle`,
      host('hop', first, known),
      host('middle', inner, inner.knownHosts),
    ];
    await writeFile(file, hosts.join('\n'));
    return file;
  }

  it('one that takes a certificate only is for the ssh program', async () => {
    const gate = await certified({ network: { namespace, address: hop.host } });
    const file = await configuration(inner, gate.knownHosts, gate);
    const mountpoint = await remora.mountpoint();
    const finished = await remora.run([`inner:${disk}`, mountpoint, '-F', file, '-v']);
    expect(finished).toMatchObject({ code: 0 });
    expect(finished.stderr).toContain(
      `using the ssh program, since for hop, ${gate.keyFile}-cert.pub is a certificate`,
    );
    const mounted = await remora.adopt(mountpoint);
    await survives(mounted, async () => endProcesses(await gate.sessions(), 'SIGKILL'));
    await mounted.unmount();
  });

  async function mount(name: string, file: string): Promise<Mounted> {
    const mountpoint = await remora.mountpoint();
    const finished = await remora.run([`${name}:${disk}`, mountpoint, '-F', file]);
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    return remora.adopt(mountpoint);
  }

  it('one, lost in the middle of a copy, and then the server', async () => {
    expect(await accepts(inner.port)).toBe(false);
    const mounted = await mount('inner', await configuration(inner));
    await survives(mounted, async () => endProcesses(await hop.sessions(), 'SIGKILL'));
    await survives(mounted, async () => endProcesses(await inner.sessions(), 'SIGKILL'));
    await mounted.unmount();
    await until('no session to be left', async () => (await hop.sessions()).length === 0);
  });

  it('two, of which the second is only known to the first', async () => {
    const mounted = await mount('far', await configuration(inner));
    expect((await readFile(join(mounted.directory, 'big'))).length).toBe(128 << 20);
    await mounted.unmount();
  });

  it('whose key is not the known one', async () => {
    const file = await configuration(inner, inner.knownHosts);
    const finished = await remora.run([`inner:${disk}`, await remora.mountpoint(), '-F', file]);
    expect(finished.code).toBe(30);
    expect(finished.stderr).toContain(hop.host);
  });

  it('that cannot reach the server', async () => {
    const file = await configuration(sshd);
    const finished = await remora.run([`inner:${disk}`, await remora.mountpoint(), '-F', file]);
    expect(finished.stderr).toMatch(/cannot reach 127\.0\.0\.1 port \d+: Connection refused/i);
  });
});
