/** What ssh's own configuration comes to, asked for through the real `ssh -G`. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Place } from '../../src/cli/host-settings.js';
import { type ResolvedTarget, resolveTarget } from '../../src/cli/resolve.js';
import { parseOptions } from '../../src/config/parse.js';
import { PROGRAM_PATH } from '../support/packages.js';
import { must } from '../support/run.js';
import { Scope } from '../support/scope.js';

let scope: Scope;

beforeAll(async () => {
  scope = await Scope.open('ssh-config');
});
afterAll(async () => {
  await scope?.close();
});

let files = 0;

async function configuration(text: string): Promise<string> {
  const file = join(scope.directory, `config-${++files}`);
  await writeFile(file, text);
  return file;
}

function place(environment: Record<string, string> = { PATH: PROGRAM_PATH }): Place {
  const local = { home: '/home/me', user: 'me', uid: 7, hostname: 'here.lan', environment };
  return { local, accountHome: '/home/me', directory: scope.directory };
}

/** What `remora SOURCE -F file -o options…` comes to. */
async function resolved(text: string, source: string, ...options: string[]): Promise<ResolvedTarget> {
  const file = await configuration(text);
  return resolveTarget(source, parseOptions([...options, `ssh_config=${file}`]), place());
}

const settingsOf = async (...args: Parameters<typeof resolved>) => (await resolved(...args)).settings;

describe('what a configuration comes to', () => {
  it('an alias, with what is behind it for everybody', async () => {
    const { settings, target } = await resolved(
      `Host box
         HostName box.example
         User bob
         Port 2200
         IdentityFile ~/.ssh/%h-%n-%r-%p-%u-%i-%L
         IdentityFile "%d/with space"
       Host *
         User nobody
         IdentityFile ~/.ssh/common
         ServerAliveInterval 40
         Compression yes`,
      'box:dir',
    );
    expect(target).toEqual({ user: null, host: 'box', directory: 'dir' });
    expect(settings).toMatchObject({
      host: 'box.example',
      originalHost: 'box',
      user: 'bob',
      port: 2200,
      identityFiles: [
        '/home/me/.ssh/box.example-box-bob-2200-me-7-here',
        '/home/me/with space',
        '/home/me/.ssh/common',
      ],
      serverAliveInterval: 40,
      compression: true,
      userKnownHostsFiles: ['/home/me/.ssh/known_hosts', '/home/me/.ssh/known_hosts2'],
      route: { hops: [], proxy: null },
    });
  });

  it("nothing: Remora's defaults, and not those of ssh", async () => {
    expect(await settingsOf('', 'Box:')).toMatchObject({
      host: 'box',
      port: 22,
      identityFiles: [],
      ciphers: [],
      kexAlgorithms: [],
      connectTimeout: 30,
      serverAliveInterval: 15,
    });
    // Debian's ssh makes 300 of it in batch mode.
    expect(await settingsOf('BatchMode yes', 'box:')).toMatchObject({ serverAliveInterval: 15 });
  });

  it('the command line before the configuration; keys add up; an interval of 0 is only what it says there', async () => {
    const text =
      'Host box\n User bob\n Port 2200\n IdentityFile /c\n Compression yes\n ServerAliveInterval 0';
    const { settings } = await resolved(
      text,
      'ann@box:',
      'port=22,User=eve,IdentityFile=/o a,Compression=no,ServerAliveInterval=0',
    );
    expect(settings).toMatchObject({
      user: 'ann',
      port: 22,
      identityFiles: ['/o a', '/c'],
      compression: false,
      serverAliveInterval: 0,
    });
    expect(settings.sshOptions).toEqual([
      'User=ann',
      'Port=22',
      'IdentityFile="/o a"',
      'Compression=no',
      'ServerAliveInterval=0',
    ]);
    expect(await settingsOf(text, 'box:')).toMatchObject({ serverAliveInterval: 15, user: 'bob' });
  });

  it('wildcards and negation', async () => {
    const text = 'Host *.lan !gate.lan\n Port 1\nHost gate.*\n Port 2\nHost ?ox\n Port 3';
    const ports = ['a.lan', 'gate.lan', 'box', 'other'].map(
      async (host) => (await settingsOf(text, `${host}:`)).port,
    );
    expect(await Promise.all(ports)).toEqual([1, 2, 3, 22]);
  });

  it('Include, and Match by host, user and command', async () => {
    const marker = join(scope.directory, 'at-home');
    const included = await configuration('Host box\n HostName box.example');
    const text = `Include ${included}
      Match host box.example exec "test -e ${marker}"
        IdentityFile /home-key
      Match host box.example
        IdentityFile /key
      Match user other
        Port 2
      Match originalhost box exec "test %n = box && test %h = box.example"
        HostKeyAlias executed`;
    expect(await settingsOf(text, 'box:')).toMatchObject({
      host: 'box.example',
      port: 22,
      identityFiles: ['/key'],
      hostKeyAlias: 'executed',
    });
    expect(await settingsOf(text, 'other@box:')).toMatchObject({ port: 2 });
    await writeFile(marker, '');
    expect(await settingsOf(text, 'box:')).toMatchObject({ identityFiles: ['/home-key', '/key'] });
  });

  it('canonical names, which options on the command line can ask for', async () => {
    const text = 'Match final host local*\n Port 7';
    expect((await settingsOf(text, 'localhost:')).port).toBe(7);
    const { settings } = await resolved('', 'localhost:', 'CanonicalizeHostname=yes,CanonicalizeMaxDots=0');
    expect(settings.host).toBe('localhost');
  });

  it('files with spaces, quotes and tokens', async () => {
    const text = `UserKnownHostsFile /a "/b c/%h" ~/.ssh/%n
      CertificateFile "/a b/%h-cert.pub"
      ControlPath /run/%n
      IdentityAgent none
      GlobalKnownHostsFile none`;
    const settings = await settingsOf(text, 'box:');
    expect(settings).toMatchObject({
      certificateFiles: ['/a b/box-cert.pub'],
      controlPath: '/run/box',
      identityAgent: 'none',
      globalKnownHostsFiles: ['none'],
    });
    expect(settings.userKnownHostsFiles.slice(0, 2)).toEqual(['/a', '/b c/box']);
  });

  it('relative files, which the ssh of a mount would look for in another directory', async () => {
    const options = 'IdentityFile=my key,IdentityFile=~/k,IdentityFile=none,UserKnownHostsFile="a b" c';
    const words = `${options},IdentityAgent=SSH_AUTH_SOCK,PKCS11Provider=lib.so,ControlPath=%d/c`;
    const { identityFiles, sshOptions } = await settingsOf('', 'box:', words);
    const here = scope.directory;
    expect(identityFiles).toEqual([`${here}/my key`, '/home/me/k', 'none']);
    expect(sshOptions).toEqual([
      `IdentityFile="${here}/my key"`,
      'IdentityFile=~/k',
      'IdentityFile=none',
      `UserKnownHostsFile="${here}/a b" ${here}/c`,
      'IdentityAgent=SSH_AUTH_SOCK',
      'PKCS11Provider=lib.so',
      'ControlPath=%d/c',
    ]);
  });

  it('lists that change the default of ssh', async () => {
    const { ciphers, macs, kexAlgorithms } = await settingsOf(
      'Ciphers ^aes256-gcm@openssh.com\nMACs -*sha1*,umac*',
      'box:',
    );
    expect(ciphers[0]).toBe('aes256-gcm@openssh.com');
    expect(ciphers.length).toBeGreaterThan(3);
    expect(macs.filter((name) => /sha1|umac/.test(name))).toEqual([]);
    expect(kexAlgorithms).toEqual([]);
  });

  it('a proxy command as it stands, and the first of it and ProxyJump', async () => {
    const command = 'nc -X 5 -x "proxy:1" %h %p';
    expect((await settingsOf(`ProxyCommand ${command}`, 'box:')).route).toEqual({
      hops: [],
      proxy: { kind: 'command', command },
    });
    expect((await settingsOf(`ProxyCommand ${command}\nProxyJump a`, 'box:')).route.hops).toEqual([]);
    expect((await resolved(`ProxyCommand ${command}`, 'box:', 'ProxyCommand=none')).settings.route).toEqual({
      hops: [],
      proxy: null,
    });
  });
});

describe('hosts to go through', () => {
  const TEXT = `Host box
      ProxyJump ann@one:1,two
      IdentityFile /box-key
    Host one
      HostName one.example
      ProxyJump zero
      Port 11
    Host two
      User bert
      IdentityFile /two-key
      ProxyJump elsewhere
    Host zero
      ProxyCommand connect %h
    Host circle-a
      ProxyJump circle-b
    Host circle-b
      ProxyJump circle-a
    Match originalhost deep exec "true"
      ProxyJump deep`;

  it('each has its own configuration, and the first one its own way', async () => {
    const { settings, note } = await resolved(TEXT, 'box:', 'User=me,StrictHostKeyChecking=no,BatchMode=yes');
    expect(settings.route.proxy).toEqual({ kind: 'command', command: 'connect %h' });
    expect(settings.route.hops.map(({ user, host, port }) => `${user}@${host}:${port}`)).toEqual([
      'me@zero:22',
      'ann@one.example:1',
      'bert@two:22',
    ]);
    const [, , two] = settings.route.hops;
    expect(two).toMatchObject({
      identityFiles: ['/two-key'],
      originalHost: 'two',
      strictHostKeyChecking: 'ask',
      batchMode: true,
      password: null,
    });
    expect(note).toBe(
      "by ssh's configuration box is me@box:22 through me@zero:22, ann@one.example:1, bert@two:22",
    );
  });

  it('circles are told', async () => {
    await expect(resolved(TEXT, 'circle-a:')).rejects.toThrow(
      'ProxyJump goes in a circle: circle-a -> circle-b -> circle-a',
    );
    await expect(resolved(TEXT, 'deep:')).rejects.toThrow('jumphost loop via deep');
  });

  it.each(['-oProxyCommand=evil', 'a,-x@b', '@b'])('%j is refused', async (value) => {
    const option = `ProxyJump=${value.replaceAll(',', '\\,')}`;
    await expect(resolved('', 'box:', option)).rejects.toThrow(/ProxyJump|jump|must not begin/i);
  });
});

describe('what is wrong is one sentence', () => {
  it.each([
    [
      'Host box\n  Prot 22',
      /^ssh cannot tell how to reach box: \/\S+: line 2: Bad configuration option: prot$/,
    ],
    ['Port x', /^ssh cannot tell how to reach box: \/\S+ line 1: Bad port 'x'$/],
    ['IdentityFile /k/%z', /^IdentityFile '\/k\/%z' holds the unknown token '%z'$/],
    ['ServerAliveCountMax 9999', /^ssh_config: option 'ServerAliveCountMax' cannot be '9999'/],
  ])('%j', async (text, message) => {
    await expect(resolved(text, 'box:')).rejects.toThrow(message);
  });

  it('a file that is not there', async () => {
    const options = parseOptions(['ssh_config=nowhere']);
    await expect(resolveTarget('box:', options, place())).rejects.toThrow(
      `ssh cannot tell how to reach box: Can't open user config file ${scope.directory}/nowhere: No such file or directory`,
    );
  });
});

describe('where configuration is looked for', () => {
  it('none: nothing counts', async () => {
    const { settings } = await resolveTarget('box:', parseOptions(['ssh_config=none']), place());
    expect(settings).toMatchObject({ configFile: 'none', host: 'box', port: 22 });
  });

  it('a HOME that is not that of the account counts', async () => {
    const home = await scope.makeDirectory('another-home');
    const elsewhere = { ...place(), local: { ...place().local, home } };
    const before = await resolveTarget('box:', parseOptions([]), elsewhere);
    expect(before.settings.configFile).toMatch(/^(none|\/etc\/ssh\/ssh_config)$/);
    await mkdir(join(home, '.ssh'));
    await writeFile(join(home, '.ssh/config'), 'Host box\n Port 7\n IdentityFile ~/.ssh/k');
    expect((await resolveTarget('box:', parseOptions([]), elsewhere)).settings).toMatchObject({
      port: 7,
      identityFiles: [join(home, '.ssh/k')],
      userKnownHostsFiles: [join(home, '.ssh/known_hosts'), join(home, '.ssh/known_hosts2')],
    });
  });

  it('without ssh: the command line, for the hosts on the way too', async () => {
    const empty = place({ PATH: scope.directory });
    const options = parseOptions(['Port=7,IdentityFile=~/%h,ProxyJump=a@b:1,ServerAliveInterval=0']);
    const { settings, note } = await resolveTarget('bob@box:', options, empty);
    expect(settings).toMatchObject({
      host: 'box',
      user: 'bob',
      port: 7,
      identityFiles: ['/home/me/box'],
      serverAliveInterval: 0,
    });
    expect(settings.route.hops).toMatchObject([
      { host: 'b', user: 'a', port: 1, identityFiles: ['/home/me/b'], serverAliveInterval: 0 },
    ]);
    expect(note).toBe('there is no ssh to ask, so no ssh_config counts: box is bob@box:7 through a@b:1');
  });

  it('for a user without an account, whom ssh does not serve, likewise', async () => {
    const bin = await scope.makeDirectory('no-account');
    await writeFile(join(bin, 'ssh'), '#!/bin/sh\necho "No user exists for uid 7" >&2\nexit 255\n', {
      mode: 0o755,
    });
    const { settings } = await resolveTarget('bob@box:', parseOptions(['Port=7']), place({ PATH: bin }));
    expect(settings).toMatchObject({ host: 'box', user: 'bob', port: 7 });
  });

  it('every word that the installed ssh knows is known', async () => {
    const printed = await must('ssh', ['-T', '-G', '-F', 'none', '--', 'box']);
    const words = printed.split('\n').map((line) => line.split(' ', 1)[0] ?? '');
    for (const word of words.filter((each) => each !== '' && each !== 'host')) {
      expect(() => parseOptions([`${word}=?`]), word).not.toThrow(/unknown option/);
    }
  });
});
