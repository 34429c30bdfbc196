import { expect, test } from 'vitest';
import { OptionError } from '../../../src/config/errors.js';
import { completeOptions } from '../../../src/config/parse.js';
import type { GivenOptions } from '../../../src/config/schema.js';
import { loginMethods, optionsOf, parseSshDump } from '../../../src/config/ssh-config.js';

/** What ssh 9.2 of Debian says of the host `box` without a configuration, without the lines about forwarding. */
const PLAIN = `host box
user bob
hostname box
port 22
addressfamily any
batchmode no
canonicalizehostname false
checkhostip no
compression no
controlmaster false
gssapiauthentication no
hashknownhosts no
hostbasedauthentication no
identitiesonly no
kbdinteractiveauthentication yes
passwordauthentication yes
pubkeyauthentication true
stricthostkeychecking ask
tcpkeepalive yes
numberofpasswordprompts 3
serveralivecountmax 3
serveraliveinterval 0
ciphers chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr
hostkeyalgorithms ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512
kexalgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256
macs umac-64-etm@openssh.com,hmac-sha2-256
securitykeyprovider internal
pubkeyacceptedalgorithms ssh-ed25519,rsa-sha2-512
identityfile ~/.ssh/id_rsa
identityfile ~/.ssh/id_ecdsa
identityfile ~/.ssh/id_ecdsa_sk
identityfile ~/.ssh/id_ed25519
canonicaldomains none
globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2
userknownhostsfile /home/bob/.ssh/known_hosts /home/bob/.ssh/known_hosts2
connecttimeout none
canonicalizePermittedcnames none
escapechar ~
`;

/** The options of a configuration that makes `lines` of what ssh says; a line of a keyword takes the place of the others. */
function options(...lines: string[]): Partial<GivenOptions> {
  const changed = new Set(lines.map((line) => line.split(' ', 1)[0]));
  const others = PLAIN.split('\n').filter((line) => !changed.has(line.split(' ', 1)[0]));
  return optionsOf(parseSshDump([...others, ...lines].join('\n')), parseSshDump(PLAIN));
}

test('lines: keywords in any case, values with spaces, repeated keywords in order', () => {
  const dump = parseSshDump('Port 22\nidentityfile /a b\nidentityfile /c\nrekeylimit 0 0\nodd\n');
  expect([...dump]).toEqual([
    ['port', ['22']],
    ['identityfile', ['/a b', '/c']],
    ['rekeylimit', ['0 0']],
  ]);
});

test('an empty configuration says nothing but the name', () => {
  expect(options()).toEqual({ hostName: 'box' });
});

test.each<[string[], Partial<GivenOptions>]>([
  [
    ['hostname real.example', 'user root', 'port 2200'],
    { hostName: 'real.example', user: 'root', port: 2200 },
  ],
  [
    ['identityfile ~/.ssh/%h key', 'identityfile none', 'identitiesonly yes'],
    { identityFiles: ['~/.ssh/%h key', 'none'], identitiesOnly: true },
  ],
  [['identityagent $OTHER_AGENT'], { identityAgent: '$OTHER_AGENT' }],
  [['identityagent none'], { identityAgent: 'none' }],
  [['certificatefile /a b/c-cert.pub'], { certificateFiles: ['/a b/c-cert.pub'] }],
  [['proxyjump a@b:1,c'], { proxyJump: 'a@b:1,c' }],
  [['proxycommand nc -x "p q" %h %p'], { proxyCommand: 'nc -x "p q" %h %p' }],
  [
    ['userknownhostsfile /a /b c/%%d ~/x', 'globalknownhostsfile none'],
    { userKnownHostsFiles: ['/a', '/b c/%%d', '~/x'], globalKnownHostsFiles: ['none'] },
  ],
  [['stricthostkeychecking true'], { strictHostKeyChecking: 'yes' }],
  [['stricthostkeychecking false'], { strictHostKeyChecking: 'no' }],
  [['stricthostkeychecking accept-new'], { strictHostKeyChecking: 'accept-new' }],
  [
    ['hostkeyalias other', 'checkhostip yes', 'hashknownhosts yes'],
    { hostKeyAlias: 'other', checkHostIp: true, hashKnownHosts: true },
  ],
  [['connecttimeout 7', 'serveraliveinterval 3600'], { connectTimeout: 7, serverAliveInterval: 3600 }],
  [['connecttimeout 0'], {}],
  [['batchmode yes', 'serveraliveinterval 300'], { batchMode: true }],
  [['batchmode yes', 'serveraliveinterval 30'], { batchMode: true, serverAliveInterval: 30 }],
  [['compression yes', 'tcpkeepalive no'], { compression: true, tcpKeepAlive: false }],
  [
    ['addressfamily inet6', 'bindaddress ::1', 'bindinterface lo'],
    { addressFamily: 'inet6', bindAddress: '::1', bindInterface: 'lo' },
  ],
  [['ciphers aes256-ctr,aes128-ctr'], { ciphers: ['aes256-ctr', 'aes128-ctr'] }],
  [
    ['preferredauthentications gssapi-with-mic,password'],
    { preferredAuthentications: ['gssapi-with-mic', 'password'] },
  ],
  [
    ['pubkeyauthentication false', 'numberofpasswordprompts 0'],
    { pubkeyAuthentication: false, numberOfPasswordPrompts: 0 },
  ],
  [['controlmaster autoask', 'controlpath /run/cm'], { controlMaster: 'autoask', controlPath: '/run/cm' }],
  [['controlpath none', 'pkcs11provider none', 'revokedhostkeys none'], {}],
  [
    ['gssapiauthentication yes', 'pkcs11provider /l.so'],
    { gssapiAuthentication: true, pkcs11Provider: '/l.so' },
  ],
])('%j', (lines, expected) => {
  expect(options(...lines)).toEqual({ hostName: 'box', ...expected });
});

test('what ssh takes and Remora does not is told with its name', () => {
  expect(() => options('serveralivecountmax 100000')).toThrow(
    new OptionError("ssh_config: option 'ServerAliveCountMax' cannot be '100000': the range is 1 to 1000"),
  );
  expect(() => options('refuseconnection use the other one')).toThrow(
    new OptionError('ssh_config refuses this host: use the other one'),
  );
});

test('ways to log in that are switched off are not tried', () => {
  const methods = (given: Partial<GivenOptions>) => loginMethods(completeOptions(given));
  expect(methods({})).toEqual(['publickey', 'keyboard-interactive', 'password']);
  expect(methods({ passwordAuthentication: false, kbdInteractiveAuthentication: false })).toEqual([
    'publickey',
  ]);
  expect(
    methods({ preferredAuthentications: ['password', 'publickey'], pubkeyAuthentication: false }),
  ).toEqual(['password']);
});
