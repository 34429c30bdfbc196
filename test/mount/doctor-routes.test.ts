/** The way to a server through others: proxies, commands and hops, each of which may be what is wrong. */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Diagnosis, expectCause, Practice } from '../support/doctor.js';

import { refusingSocks, tinyproxy } from '../support/services.js';
import { freePort, Sshd } from '../support/sshd.js';

let practice: Practice;

beforeAll(async () => {
  practice = await Practice.open('doctor-routes');
});
afterAll(async () => {
  await practice?.close();
});

const verdicts = ({ findings }: Diagnosis) => findings.map(({ title, verdict }) => `${title}: ${verdict}`);

describe('an HTTP proxy', () => {
  const through = (port: number, ...options: readonly string[]) =>
    practice.visit(practice.strict, ['-o', [`http_proxy=127.0.0.1:${port}`, ...options].join(',')]);

  it('that is as it should be: the server behind it is looked at', async () => {
    const port = await tinyproxy(practice.scope);
    const seen = await through(port);
    expect(seen.cause).toBeNull();
    expect(verdicts(seen)).toEqual(
      expect.arrayContaining(['proxy: ok', 'server: ok', 'key exchange: ok', 'host key: ok', 'login: ok']),
    );
    const unknown = await through(port, 'UserKnownHostsFile=none');
    expectCause(
      unknown,
      'host-key',
      new RegExp(` -o 'ProxyCommand=nc -X connect -x 127.0.0.1:${port} %h %p' `),
    );
  });

  it('that does not permit the port', async () => {
    const port = await tinyproxy(practice.scope, 'ConnectPort 443');
    const seen = await through(port);
    expectCause(seen, 'proxy', new RegExp(`^on the proxy: echo 'ConnectPort ${practice.strict.port}'`));
    expect(seen.cause?.what).toContain('403');
  });

  it('that wants a user and a password, and another one', async () => {
    const port = await tinyproxy(practice.scope, 'BasicAuth bob secret');
    const remedy = `-o http_proxy=USER:PASSWORD@127.0.0.1:${port}`;
    expectCause(await through(port), 'proxy', remedy);
    const wrong = await practice.visit(practice.strict, ['-o', `http_proxy=bob:wrong@127.0.0.1:${port}`]);
    expectCause(wrong, 'proxy', remedy.replace('USER', 'bob'));
    expect(JSON.stringify(wrong)).not.toContain('bob:wrong');
    const right = await practice.visit(practice.strict, ['-o', `http_proxy=bob:secret@127.0.0.1:${port}`]);
    expect(right.cause).toBeNull();
  });

  it('whose password others can read', async () => {
    const file = join(practice.scope.directory, 'proxy auth');
    await writeFile(file, 'bob:secret\n');
    await chmod(file, 0o644);
    const seen = await through(1, `http_proxy_auth=${file}`);
    expectCause(seen, 'configuration', `chmod 600 '${file}'`);
  });

  it('that is not there', async () => {
    const seen = await through(await freePort());
    expectCause(seen, 'tcp', 'on the proxy: ss -ltnp');
    expect(seen.cause?.what).toContain('the HTTP proxy');
  });

  it('that cannot reach the server', async () => {
    const port = await tinyproxy(practice.scope);
    const closed = await freePort();
    const seen = await practice.visit(practice.strict, [
      '-p',
      String(closed),
      '-o',
      `http_proxy=127.0.0.1:${port}`,
    ]);
    expectCause(seen, 'proxy', `on the proxy: nc -vz 127.0.0.1 ${closed}`);
  });

  it('that is a SOCKS proxy', async () => {
    const port = await refusingSocks(practice.scope, 0);
    expectCause(await through(port), 'proxy', `-o socks_proxy=127.0.0.1:${port}`);
  });
});

describe('a SOCKS proxy', () => {
  it.each([
    [2, /^on the proxy: allow 127\.0\.0\.1 port \d+$/, /does not permit/],
    [4, /^on the proxy: nc -vz 127\.0\.0\.1 \d+$/, /cannot reach the host/],
    [5, /^on the proxy: nc -vz /, /refuses the connection/],
  ])('that answers %i', async (reply, remedy, text) => {
    const port = await refusingSocks(practice.scope, reply);
    const seen = await practice.visit(practice.strict, ['-o', `socks_proxy=127.0.0.1:${port}`]);
    expectCause(seen, 'proxy', remedy);
    expect(seen.cause?.what).toMatch(text);
  });

  it('that is an HTTP proxy, which keeps silent', async () => {
    const port = await tinyproxy(practice.scope);
    const seen = await practice.visit(practice.strict, ['-o', `socks_proxy=127.0.0.1:${port}`]);
    expectCause(seen, 'proxy', `-o http_proxy=127.0.0.1:${port}`);
  });
});

describe('a ProxyCommand', () => {
  const through = (command: string) => practice.visit(practice.strict, ['-o', `ProxyCommand=${command}`]);

  it('that works', async () => {
    const seen = await through('nc %h %p');
    expect(seen.cause).toBeNull();
    expect(verdicts(seen)).toEqual(expect.arrayContaining(['proxy: ok', 'server: ok', 'host key: ok']));
  });

  it('of a program that is not there', async () => {
    const env = { PATH: practice.scope.directory };
    const seen = await practice.visit(practice.strict, ['-o', 'ProxyCommand=corkscrew gate 3128 %h %p'], {
      env,
    });
    expectCause(seen, 'proxy', 'sudo apt install corkscrew');
    expect(seen.findings.find(({ id }) => id === 'versions')).toMatchObject({ verdict: 'warning' });
    expectCause(await through('my-own-way %h'), 'proxy', 'command -v my-own-way');
  });

  it('that cannot reach what it should', async () => {
    const closed = await freePort();
    const seen = await through(`nc 127.0.0.1 ${closed}`);
    expectCause(seen, 'proxy', `nc 127.0.0.1 ${closed}`);
  });

  it('that is refused by its proxy', async () => {
    const port = await tinyproxy(practice.scope, 'ConnectPort 443');
    const seen = await through(`corkscrew 127.0.0.1 ${port} %h %p`);
    expectCause(seen, 'proxy', `corkscrew 127.0.0.1 ${port} 127.0.0.1 ${practice.strict.port}`);
  });

  it('with a password in it, which no report has', async () => {
    const args = ['-o', 'ProxyCommand=sh -c "exit 3" sesame-word'];
    const { remora, strict } = practice;
    const all = [
      'doctor',
      '--redact',
      '--json',
      `bob@${strict.host}`,
      ...(await remora.login(strict)),
      ...args,
    ];
    const { stdout } = await remora.run(all);
    expect(stdout).toContain('"id": "proxy"');
    expect(stdout).not.toContain('sesame');
  });
});

describe('hops', () => {
  let hop: Sshd;

  beforeAll(async () => {
    hop = await Sshd.start(practice.scope);
  });

  /** Lines of the hop's and of the server's part of the configuration, and another hop. */
  interface Words {
    readonly hop?: string;
    readonly target?: string;
    readonly way?: Sshd;
  }

  let configurations = 0;
  async function through(words: Words = {}, args: readonly string[] = []) {
    const { scope, strict, user } = practice;
    const way = words.way ?? hop;
    const file = join(scope.directory, `hops-${++configurations}`);
    const host = (name: string, server: Sshd, more: string) => `Host ${name}
      ${more}
      HostName ${server.host}
      Port ${server.port}
      IdentityFile ${server.keyFile}
      UserKnownHostsFile ${server.knownHosts}
      GlobalKnownHostsFile none
      StrictHostKeyChecking yes
      BatchMode yes
    `;
    const inner = host(
      'inner',
      strict,
      `${words.target ?? ''}\n      User ${user.name}\n      ProxyJump gate`,
    );
    await writeFile(file, `${inner}\n${host('gate', way, `${words.hop ?? ''}\n      User ${way.user}`)}`);
    return practice.diagnose(['inner', '-F', file, ...args]);
  }

  it('each is looked at, and the server through them', async () => {
    const seen = await through();
    expect(seen.cause).toBeNull();
    expect(verdicts(seen)).toEqual(
      expect.arrayContaining([
        ...['connection: ok', 'gate: server: ok', 'gate: host key: ok', 'gate: login: ok'],
        ...['server: ok', 'key exchange: ok', 'host key: ok', 'login: ok', 'directory: ok'],
      ]),
    );
  });

  it.each(['ssh2', 'openssh'])('whose login fails, through %s', async (transport) => {
    const seen = await through({ hop: 'User no-such-user' }, ['-o', `transport=${transport}`]);
    const { cause, code } = seen;
    expect(code).toBe(1);
    expect(`${cause?.title} ${cause?.what}`).toContain('gate');
    expect(cause?.remedy).toMatch(/ssh(-copy-id)? -p \d+ .*no-such-user@gate$/);
  });

  it('whose key is unknown, or has changed', async () => {
    const unknown = await through({ hop: 'UserKnownHostsFile none' });
    expectCause(unknown, 'host-key', /^ssh -p \d+ -F \S+ -o StrictHostKeyChecking=ask \S+@gate$/);
    expect(unknown.cause?.title).toBe('gate: host key');
    const file = join(practice.scope.directory, 'known-hop');
    const other = await readFile(`${practice.strict.hostKey}.pub`, 'utf8');
    await writeFile(file, `[127.0.0.1]:${hop.port} ${other}`);
    const changed = await through({ hop: `UserKnownHostsFile ${file}` });
    expectCause(changed, 'host-key', `ssh-keygen -f '${file}' -R '[127.0.0.1]:${hop.port}'`);
  });

  it('that may not go on', async () => {
    const way = await Sshd.start(practice.scope, { config: ['AllowTcpForwarding no'] });
    const seen = await through({ way });
    expectCause(seen, 'tcp', /^on gate: put 'AllowTcpForwarding yes' into sshd_config/);
    expect(seen.cause?.title).toBe('connection');
  });

  it('that cannot reach the server', async () => {
    const seen = await through({ target: `Port ${await freePort()}` });
    expectCause(seen, 'tcp', 'on the server: sudo systemctl enable --now ssh');
    expect(seen.cause?.why).toContain('seen from gate');
  });

  it('before a server with a key of another name', async () => {
    const seen = await through({ target: 'UserKnownHostsFile none' });
    const command = /^ssh -p \d+ -F \S+ -o ProxyJump=\S+@gate:\d+ -o StrictHostKeyChecking=ask \S+@inner$/;
    expectCause(seen, 'host-key', command);
    expect(seen.cause?.title).toBe('host key');
  });

  it('with the ssh program, which goes on by itself', async () => {
    const seen = await through({}, ['-o', 'transport=openssh']);
    expect(seen.cause).toBeNull();
    expect(verdicts(seen)).toEqual(
      expect.arrayContaining(['gate: host key: ok', 'gate: login: skipped', 'server: skipped', 'login: ok']),
    );
  });
});
