/** The way to a server: configuration, name, port, and what listens there. */
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Diagnosis, expectCause, known, Practice } from '../support/doctor.js';
import { must, run, start } from '../support/run.js';
import { makeKey } from '../support/server.js';
import { service } from '../support/services.js';
import { freePort } from '../support/sshd.js';

let practice: Practice;

beforeAll(async () => {
  practice = await Practice.open('doctor-network');
});
afterAll(async () => {
  await practice?.close();
});

/** Without a configuration. */
const look = (...args: readonly string[]) => practice.diagnose([...args, '-F', 'none']);
const verdicts = ({ findings }: Diagnosis) => findings.map(({ title, verdict }) => `${title}: ${verdict}`);

describe('configuration and name', () => {
  it('a name that does not resolve', async () => {
    expectCause(await look('no-such-host.invalid'), 'name', 'getent ahosts no-such-host.invalid');
  });

  it('a mistake in the configuration: file and line', async () => {
    const config = join(practice.scope.directory, 'bad_config');
    await writeFile(config, 'Host *\n  Porrt 22\n');
    const seen = await practice.diagnose(['host', '-F', config]);
    expectCause(seen, 'configuration', `\${EDITOR:-vi} +2 ${config}`);
  });

  it('hosts that go in a circle', async () => {
    const config = join(practice.scope.directory, 'circle');
    await writeFile(config, 'Host alpha\n  ProxyJump beta\nHost beta\n  ProxyJump alpha\n');
    expectCause(await practice.diagnose(['alpha', '-F', config]), 'configuration', 'remora --help');
  });

  it.each([
    ['nothing', '', /names no host/],
    ['a line end', 'a\nb', /control character/],
    ['an option', '-oProxyCommand=x:', /must not begin with '-'|unknown option/],
    ['a URL', 'ssh://nas/srv', /is not a URL/],
    ['a bracket alone', '[::1', /bracket/],
  ])('a host that is %s', async (_, host, text) => {
    const { code, stdout, stderr } = await practice.remora.run([
      'doctor',
      '--json',
      '-F',
      'none',
      '--',
      host,
    ]);
    expect(code).toBe(1);
    expect(stderr).not.toMatch(/^ +at /m);
    expectCause({ code, ...JSON.parse(stdout) }, 'configuration', 'remora --help');
    expect(stdout).toMatch(text);
    const shown = await practice.remora.run(['doctor', '-F', 'none', '--', host]);
    expect(shown.stdout.split('\n')[0]).toMatch(/^\S.* \(configuration\)$/);
  });

  it.each([
    ['an unknown option', ['-o', 'frobnicate'], /unknown option 'frobnicate'/],
    ['a port that is none', ['-p', '99999'], /1 to 65535/],
  ])('%s is wrong usage', async (_, args, text) => {
    const finished = await practice.remora.run(['doctor', 'host', ...args]);
    expect(finished).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(text) });
  });

  it('no name server, in a network of its own', async () => {
    const [node, main] = practice.remora.program;
    const args = ['-n', node, main, 'doctor', '--json', '-F', 'none', 'nas.example'];
    const { code, stdout } = await run('unshare', args, { env: practice.remora.environment });
    const seen: Diagnosis = { code, ...JSON.parse(stdout) };
    expectCause(seen, 'name', 'cat /etc/resolv.conf');
  });

  it('a network that is not there', async () => {
    const [node, main] = practice.remora.program;
    const args = ['-n', node, main, 'doctor', '--json', '-F', 'none', '192.0.2.7'];
    const { code, stdout } = await run('unshare', args, { env: practice.remora.environment });
    expectCause({ code, ...JSON.parse(stdout) }, 'tcp', 'ip route get 192.0.2.7');
  });

  it('an address to connect from that is not this machine’s', async () => {
    const seen = await look('127.0.0.1', '-o', 'BindAddress=192.0.2.1');
    expectCause(seen, 'tcp', 'ip -brief address');
    expect(seen.cause?.what).toContain('192.0.2.1');
  });
});

describe('what listens at the port', () => {
  it('nothing', async () => {
    const seen = await look('127.0.0.1', '-p', String(await freePort()));
    expectCause(seen, 'tcp', 'on the server: sudo systemctl enable --now ssh');
  });

  const strangers: readonly (readonly [string, (data: Buffer) => Buffer | string, RegExp])[] = [
    ['a web server', () => 'HTTP/1.1 400 Bad Request\r\n\r\n', /^a web server/],
    ['a server for TLS', () => Buffer.from([0x15, 3, 1, 0, 2, 2, 70]), /^a server for TLS/],
    ['something else', () => Buffer.alloc(2000, 0x9c), /^another program/],
  ];
  it.each(strangers)('%s', async (_, answer, text) => {
    const port = await practice.odd((socket) => socket.once('data', (data) => socket.end(answer(data))));
    const seen = await look('bob@127.0.0.1', '-p', String(port));
    expectCause(seen, 'banner', '-p 22');
    expect(seen.cause?.why).toMatch(text);
    expect(seen.cause?.what.length).toBeLessThan(600);
  });

  it.each([
    ['a mail server', '220 mail.example ESMTP\r\n', /^a mail or FTP server/],
    ['a megabyte of text', `${'x'.repeat(2 ** 20)}\r\n`, /^another program/],
  ])('%s', async (_, greeting, text) => {
    const port = await practice.odd((socket) => void socket.end(greeting));
    const seen = await look('bob@127.0.0.1', '-p', String(port));
    expectCause(seen, 'banner', '-p 22');
    expect(seen.cause?.why).toMatch(text);
  });

  it('a server of SSH 1', async () => {
    const port = await practice.odd((socket) => void socket.write('SSH-1.5-OpenSSH_1.2.3\n'));
    const seen = await look('bob@127.0.0.1', '-p', String(port));
    expectCause(seen, 'banner', 'on the server: sudo apt install openssh-server');
    expect(seen.cause?.what).toContain('SSH 1.5');
  });

  it('a server that greets and then sends garbage', async () => {
    const port = await practice.odd((socket) => {
      socket.write('SSH-2.0-Rogue_1\r\n');
      socket.once('data', () => socket.write(Buffer.alloc(4096, 0xff)));
    });
    const seen = await look('bob@127.0.0.1', '-p', String(port));
    expectCause(seen, 'key-exchange', 'on the server: sudo journalctl -u ssh -n 50');
  });

  it('a server that hangs up at once', async () => {
    const port = await practice.odd((socket) => socket.destroy());
    expectCause(await look('127.0.0.1', '-p', String(port)), 'banner', /MaxStartups/);
  });

  it('a server with too many logins under way (MaxStartups)', async () => {
    const server = await practice.serve({ config: ['MaxStartups 1', 'LoginGraceTime 60'] });
    const first = connect(server.port, '127.0.0.1');
    practice.scope.defer('waiting client', async () => void first.destroy());
    await new Promise((resolve) => first.once('data', resolve));
    expectCause(await practice.visit(server), 'banner', /MaxStartups/);
    first.destroy();
  });

  it('a server at an IPv6 address alone', async () => {
    const { scope, user } = practice;
    const port = await freePort();
    const server = await practice.serve({
      config: [`ListenAddress [::1]:${port}`, 'PasswordAuthentication no'],
    });
    const key = await readFile(`${server.hostKey}.pub`, 'utf8');
    const file = join(scope.directory, 'known-ipv6');
    await writeFile(file, `[::1]:${port} ${key}`);
    const settings = `${known(server)},UserKnownHostsFile=${file}`;
    const args = [`${user.name}@[::1]`, '-p', String(port), '-o', settings];
    expect((await practice.diagnose([...args, '-i', server.keyFile])).cause).toBeNull();
    const stranger = await makeKey(scope, 'ipv6-stranger');
    const seen = await practice.diagnose([...args, '-i', stranger]);
    expectCause(seen, 'key-refused', new RegExp(`^ssh-copy-id -p ${port} .* -i \\S+ ${user.name}@::1$`));
  });

  it.each([
    ['built in', 'transport=ssh2', '-o transport=openssh'],
    ['as auto takes it, by the ssh program', 'transport=auto', null],
  ])('a server with post-quantum key exchange alone, %s', async (_, option, remedy) => {
    const server = await practice.serve({ config: ['KexAlgorithms sntrup761x25519-sha512@openssh.com'] });
    const seen = await practice.visit(server, ['-o', option]);
    if (remedy !== null) expectCause(seen, 'key-exchange', remedy);
    else {
      expect(seen.cause).toBeNull();
      expect(seen.findings.find(({ id }) => id === 'login')?.what).toContain('by the ssh program');
    }
  });

  it.each(['ssh2', 'openssh'])('a server without a cipher in common, through %s', async (transport) => {
    const server = await practice.serve({ config: ['Ciphers aes256-ctr'] });
    const seen = await practice.visit(server, ['-o', `Ciphers=aes128-ctr,transport=${transport}`]);
    expectCause(seen, 'key-exchange', '-o Ciphers=+aes256-ctr');
  });
});

/** Time is all that these take. */
describe.concurrent('silence', () => {
  it('of a port that is filtered', async () => {
    // A listener that accepts nothing, with its queue full: the kernel drops what else comes.
    const script =
      'import socket,time;s=socket.socket();s.bind(("127.0.0.1",0));s.listen(0);print(s.getsockname()[1],flush=True);' +
      'c=[socket.socket() for _ in range(3)];[x.setblocking(False) or x.connect_ex(s.getsockname()) for x in c];time.sleep(60)';
    const child = start('python3', ['-c', script], { env: practice.scope.environment });
    practice.scope.defer('filtered port', async () => void child.kill('SIGKILL'));
    const port = await new Promise<string>((resolve) => {
      child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
    });
    expectCause(await look('127.0.0.1', '-p', port), 'tcp', `on the server: sudo ufw allow ${port}/tcp`);
  });

  it('of a server', async () => {
    const port = await practice.odd(() => {});
    const seen = await look('bob@127.0.0.1', '-p', String(port));
    expectCause(seen, 'banner', `ssh -p ${port} -F none -vvv bob@127.0.0.1`);
  });
});

it('SFTP without SSH: only the port is looked at', async () => {
  const port = await freePort();
  const server = (await must('sh', ['-c', 'ls /usr/lib/openssh/sftp-server'])).trim();
  const listen = `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork`;
  await service(practice.scope, 'socat', [listen, `EXEC:${server}`], port);
  const seen = await look('127.0.0.1', '-o', `directport=${port}`);
  expect(seen.cause).toBeNull();
  expect(verdicts(seen)).toEqual(expect.arrayContaining(['transport: ok', 'login: ok', 'SFTP: ok']));
  expect(verdicts(seen)).not.toContain('server: ok');
  const closed = await look('127.0.0.1', '-o', `directport=${await freePort()}`);
  expectCause(closed, 'tcp', /.+/);
});

it('a PATH without ssh is told', async () => {
  const seen = await practice.visit(practice.strict, ['-o', 'transport=openssh'], {
    env: { PATH: practice.scope.directory },
  });
  expectCause(seen, 'transport', 'sudo apt install openssh-client');
});
