import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OptionError } from '../../../src/config/errors.js';
import { ELSEWHERE, FOREIGN } from '../../../src/config/foreign.js';
import type { Option } from '../../../src/config/kinds.js';
import { editDistance, nearest } from '../../../src/config/nearest.js';
import {
  completeOptions,
  knownNames,
  type MountOptions,
  parseOptionString,
  parseOptions,
} from '../../../src/config/parse.js';
import { SCHEMA } from '../../../src/config/schema.js';
import { SSH_KEYWORDS } from '../../../src/config/ssh-keywords.js';

const parse = (...strings: string[]) => completeOptions(parseOptions(strings).given);

describe('splitting -o strings', () => {
  test.each<[string, [string, string | null][]]>([
    [
      'ro,reconnect,idmap=user',
      [
        ['ro', null],
        ['reconnect', null],
        ['idmap', 'user'],
      ],
    ],
    ['fsname=a\\,b', [['fsname', 'a,b']]],
    [
      'fsname=a\\\\,ro',
      [
        ['fsname', 'a\\'],
        ['ro', null],
      ],
    ],
    ['fsname=a=b', [['fsname', 'a=b']]],
    [',,ro,', [['ro', null]]],
    ['fsname=end\\', [['fsname', 'end\\']]],
    ['', []],
  ])('%s', (text, expected) => {
    expect(parseOptionString(text).map(({ name, value }) => [name, value])).toEqual(expected);
  });

  test('any value survives escaping', () => {
    const escapeWord = (value: string) => value.replace(/[\\,]/g, (char) => `\\${char}`);
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1, maxLength: 5 }), (values) => {
        const text = values.map((value) => `name=${escapeWord(value)}`).join(',');
        expect(parseOptionString(text).map((word) => word.value)).toEqual(values);
      }),
    );
  });
});

describe('what the words mean', () => {
  test('nothing given: the documented defaults', () => {
    expect(parse()).toMatchObject({
      port: 22,
      readOnly: false,
      suid: false,
      dev: false,
      exec: true,
      idmap: 'none',
      uid: null,
      umask: null,
      strictHostKeyChecking: 'ask',
      connectTimeout: 30,
      serverAliveInterval: 15,
      serverAliveCountMax: 3,
      sftpServer: 'sftp',
      dirCache: true,
      dcacheTimeout: 20,
      dcacheStatTimeout: 20,
      dcacheLinkTimeout: 20,
      dcacheDirTimeout: 20,
      dcacheMaxSize: 200_000,
      cacheSize: 128 * 2 ** 20,
      dirtyLimit: 32 * 2 ** 20,
      readahead: 16 * 2 ** 20,
      maxRead: null,
      maxConns: 2,
      attrTimeout: null,
      entryTimeout: null,
    } satisfies Partial<MountOptions>);
  });

  test.each<[string, Partial<MountOptions>]>([
    ['ro', { readOnly: true }],
    ['ro,rw', { readOnly: false }],
    ['ro=no', { readOnly: false }],
    ['suid,dev,noexec', { suid: true, dev: true, exec: false }],
    ['noatime,nodiratime,relatime', { noatime: true }],
    ['noatime,atime', { noatime: false }],
    ['port=2222', { port: 2222 }],
    ['Port=2222', { port: 2222 }],
    ['PORT=2222,port=2223', { port: 2223 }],
    ['identityfile=~/a,IdentityFile=/b', { identityFiles: ['~/a', '/b'] }],
    ['UserKnownHostsFile=/a /b', { userKnownHostsFiles: ['/a', '/b'] }],
    ['stricthostkeychecking=ACCEPT-NEW', { strictHostKeyChecking: 'accept-new' }],
    [
      'PreferredAuthentications=password\\,publickey',
      { preferredAuthentications: ['password', 'publickey'] },
    ],
    ['user,User=bob', { user: 'bob' }],
    ['user=bob', { user: 'bob' }],
    ['Compression=yes', { compression: true }],
    ['compression', { compression: true }],
    ['cache=no', { dirCache: false }],
    ['dir_cache=yes', { dirCache: true }],
    ['dir_cache', { dirCache: true }],
    ['dcache_timeout=5', { dcacheStatTimeout: 5, dcacheLinkTimeout: 5, dcacheDirTimeout: 5 }],
    ['dcache_timeout=5,dcache_dir_timeout=7', { dcacheStatTimeout: 5, dcacheDirTimeout: 7 }],
    ['attr_timeout=0.5,negative_timeout=0', { attrTimeout: 0.5, negativeTimeout: 0 }],
    [
      'cache_size=1M,dirty_limit=64m,readahead=1G',
      { cacheSize: 2 ** 20, dirtyLimit: 2 ** 26, readahead: 2 ** 30 },
    ],
    ['no_readahead', { readahead: 0 }],
    ['readahead=1M,no_readahead', { readahead: 0 }],
    ['max_read=65536', { maxRead: 65536 }],
    ['max_conns=16', { maxConns: 16 }],
    ['idmap=user,uid=1000,gid=0,umask=022', { idmap: 'user', uid: 1000, gid: 0, umask: 0o22 }],
    [
      'idmap=file,uidfile=u,gidfile=/g,nomap=ignore',
      { idmap: 'file', uidfile: 'u', gidfile: '/g', nomap: 'ignore' },
    ],
    ['follow_symlinks,rellinks', { followSymlinks: true, transformSymlinks: true }],
    ['transform_symlinks,norellinks,sync,async', { transformSymlinks: false, sync: false }],
    ['sshfs_debug,sshfs_verbose,delay_connect', { debugLog: true, verbose: true, delayConnect: true }],
    ['ro', { containSymlinks: 'relative' }],
    ['contain_symlinks', { containSymlinks: 'strict' }],
    ['contain_symlinks,no_contain_symlinks', { containSymlinks: 'none' }],
    ['contain_symlinks=share', { containSymlinks: 'share' }],
    ['sftp_server=sudo /usr/lib/sftp-server', { sftpServer: 'sudo /usr/lib/sftp-server' }],
    ['modules=subdir,subdir=srv', { subdir: 'srv' }],
    ['ConnectTimeout=1m30s,ServerAliveInterval=1H', { connectTimeout: 90, serverAliveInterval: 3600 }],
    ['IdentityFile="/a b",IdentityFile=/c d', { identityFiles: ['/a b', '/c d'] }],
    ['UserKnownHostsFile=/a "/b c" "d" none', { userKnownHostsFiles: ['/a', '/b c', 'd', 'none'] }],
    ['StrictHostKeyChecking=true,ControlMaster=false', { strictHostKeyChecking: 'yes', controlMaster: 'no' }],
    ['Ciphers=aes256-ctr\\,aes128-ctr', { ciphers: ['aes256-ctr', 'aes128-ctr'] }],
    ['ForwardAgent=yes,localforward=80 a:80,RekeyLimit=1G,Tag=x,WarnWeakCrypto=no,Protocol=2', {}],
    ['reconnect,workaround=rename,noforget,remember=5,splice_read,big_writes,ac_attr_timeout=1', {}],
    [
      'auto_cache,noauto_cache,use_ino,readdir_ino,clone_fd,max_threads=4,max_idle_threads=4,no_rofd_flush',
      {},
    ],
    [
      'max_background=9,congestion_threshold=3,atomic_o_trunc,no_remote_flock,ssh_protocol=2,loglevel=debug',
      {},
    ],
    ['auto,noauto,user,users,owner,_netdev,nofail,defaults,async,x-systemd.automount,comment=hi', {}],
  ])('%s', (text, expected) => {
    expect(parse(text)).toMatchObject(expected);
  });

  test('-o may be repeated', () => {
    expect(parse('ro', 'port=3', 'IdentityFile=/k')).toMatchObject({
      readOnly: true,
      port: 3,
      identityFiles: ['/k'],
    });
  });
});

describe('what ssh is told', () => {
  const told = (...strings: string[]) =>
    parseOptions(strings).sshWords.map(({ keyword, value, effect }) => `${effect} ${keyword}=${value}`);

  test('words of ssh_config, by its names and in its spelling, and no others', () => {
    expect(
      told('port=2222,ro,compression,identityfile=/a b,batchmode=off,TAG=x,forwardagent=yes,rekeylimit=1G'),
    ).toEqual([
      'option Port=2222',
      'option Compression=yes',
      'option IdentityFile="/a b"',
      'option BatchMode=no',
      'resolution Tag=x',
      'none ForwardAgent=yes',
      'openssh RekeyLimit=1G',
    ]);
  });

  test('for ssh the first counts, here the last; keys add up', () => {
    expect(told('port=1,User=a,IdentityFile=/1,Port=2', 'IdentityFile=/2')).toEqual([
      'option User=a',
      'option IdentityFile=/1',
      'option Port=2',
      'option IdentityFile=/2',
    ]);
  });

  test('what was given is kept apart from the defaults', () => {
    expect(parseOptions(['port=22,ServerAliveInterval=15']).given).toEqual({
      port: 22,
      serverAliveInterval: 15,
    });
  });
});

describe('what is refused', () => {
  test.each([
    ['idmpa=user', "unknown option 'idmpa=user': did you mean 'idmap'?"],
    ['recconect', "unknown option 'recconect': did you mean 'reconnect'?"],
    ['zzzzzz', "unknown option 'zzzzzz' (see: docs/OPTIONS.md)"],
    ['readonly', "unknown option 'readonly': did you mean 'ro'?"],
    ['Read-Only', "unknown option 'Read-Only': did you mean 'ro'?"],
    ['key_file=/k', "unknown option 'key_file=/k': did you mean 'IdentityFile'?"],
    ['port=0', "option 'port' cannot be '0': the range is 1 to 65535"],
    ['port=70000', "option 'port' cannot be '70000': the range is 1 to 65535"],
    ['port=ssh', "option 'port' cannot be 'ssh': it is a whole number from 1 to 65535"],
    ['port=-1', "option 'port' cannot be '-1': it is a whole number from 1 to 65535"],
    ['port=1e3', "option 'port' cannot be '1e3': it is a whole number from 1 to 65535"],
    ['port', "option 'port' needs a value: port=N"],
    ['cache_size=1K', "option 'cache_size' cannot be '1K': the range is 1M to 64G"],
    [
      'cache_size=lots',
      "option 'cache_size' cannot be 'lots': it is a number of bytes, with K, M or G if you like, from 1M to 64G",
    ],
    ['umask=888', "option 'umask' cannot be '888': it is an octal number from 0 to 777"],
    ['idmap=me', "option 'idmap' cannot be 'me': it is one of none, user, file, name"],
    ['dir_cache=maybe', "option 'dir_cache' cannot be 'maybe': it is yes or no"],
    [
      'dcache_timeout=-1',
      "option 'dcache_timeout' cannot be '-1': it is a number of seconds from 0 to 86400",
    ],
    ['IdentityFile=', "option 'IdentityFile' cannot be '': it must not be empty"],
    ['rw=yes', "option 'rw' takes no value"],
    ['nomap=drop', "option 'nomap' cannot be 'drop': it is one of error, ignore"],
    ['uidfile', "option 'uidfile' needs a value: uidfile=FILE"],
    ['ProxyJmp=bastion', "unknown option 'ProxyJmp=bastion': did you mean 'ProxyJump'?"],
    ['ForwardAgnet=yes', "unknown option 'ForwardAgnet=yes': did you mean 'ForwardAgent'?"],
    ['ForwardAgent', "option 'ForwardAgent' needs a value: ForwardAgent=VALUE"],
    ['modules=iconv', "option 'modules=iconv' is not supported: Remora passes names through as bytes"],
    ['from_code=latin1', "option 'from_code' is not supported: Remora passes names through as bytes"],
    ['modules=evil', "unknown module 'evil': the one there is, is 'subdir'"],
    ['__proto__=1', "unknown option '__proto__=1' (see: docs/OPTIONS.md)"],
    ['constructor', "unknown option 'constructor' (see: docs/OPTIONS.md)"],
  ])('%s', (text, message) => {
    expect(() => parse(text)).toThrow(OptionError);
    expect(() => parse(text)).toThrow(new OptionError(message));
  });

  test('the words of other programs, each with a name that there is', () => {
    for (const [word, name] of ELSEWHERE) {
      expect(knownNames()).not.toContain(word);
      expect(knownNames()).toContain(name);
      expect(() => parse(`${word}=x`)).toThrow(`did you mean '${name}'?`);
    }
  });

  test.each<[string, readonly string[], string]>([
    ['max_conns', ['0', '17', '99'], 'the range is 1 to 16'],
    ['max_conns', ['-1', '1.5', 'NaN', '', '9'.repeat(40)], 'it is a whole number from 1 to 16'],
    ['cache_size', ['0', '1k', '1048575', '65g', '999999999999g'], 'the range is 1M to 64G'],
    ['cache_size', ['-5', 'NaN', '1e9', '1.5M', '1T', '9'.repeat(40), ''], 'from 1M to 64G'],
    ['dirty_limit', ['0', '512k', '5g'], 'the range is 1M to 4G'],
    ['dirty_limit', ['-1', 'Infinity'], 'from 1M to 4G'],
    ['readahead', ['2g', '1048577k'], 'the range is 0 to 1G'],
    ['readahead', ['-1', '-1M', '0x10'], 'from 0 to 1G'],
    ['max_read', ['0', '4095', '2M'], 'the range is 4K to 1M'],
    ['max_write', ['0', '1', '2M'], 'the range is 4K to 1M'],
    ['max_write', ['-4096'], 'from 4K to 1M'],
    ['dcache_max_size', ['0', '10000001'], 'the range is 1 to 10000000'],
    ['attr_timeout', ['86401', '999999999999'], 'the range is 0 to 86400'],
    ['entry_timeout', ['-1', 'NaN', '1e3', 'Infinity', ''], 'it is a number of seconds from 0 to 86400'],
    ['ConnectTimeout', ['0', '100000', '2d'], 'the range is 1 to 86400'],
    [
      'ServerAliveInterval',
      ['0.5', '-1', '1y', 'm'],
      'a whole number of seconds, or a time such as 1m30s, from 0',
    ],
    ['ServerAliveCountMax', ['0', '1001'], 'the range is 1 to 1000'],
    ['NumberOfPasswordPrompts', ['101'], 'the range is 0 to 100'],
    ['uid', ['-1', '4294967295'], '0 to 4294967294'],
  ])('impossible values of %s: %j', (name, values, allowed) => {
    for (const value of values) {
      expect(() => parse(`${name}=${value}`), value).toThrow(OptionError);
      expect(() => parse(`${name}=${value}`), value).toThrow(`option '${name}' cannot be '${value}': `);
      expect(() => parse(`${name}=${value}`), value).toThrow(allowed);
    }
  });

  test('no input makes it throw anything but an OptionError', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(OptionError);
        }
      }),
    );
  });
});

test('the nearest name', () => {
  expect(editDistance('idmpa', 'idmap')).toBe(1);
  expect(editDistance('', 'abc')).toBe(3);
  expect(editDistance('kitten', 'sitting')).toBe(3);
  expect(nearest('Identityfil', ['IdentityFile', 'IdentityAgent'])).toBe('IdentityFile');
  expect(nearest('q', ['ro', 'rw'])).toBeNull();
});

test('no name stands for two things', () => {
  const ours = Object.values<Option<unknown>>(SCHEMA).map(({ names, words }) => [
    ...names,
    ...Object.keys(words),
  ]);
  const others = [...FOREIGN, ...SSH_KEYWORDS].map(({ names }) => names);
  const all = [...ours, ...others].flatMap((names) => [...new Set(names.map((name) => name.toLowerCase()))]);
  // `user` alone is a word of fstab, `user=NAME` one of ssh_config.
  expect(all.filter((name, at) => all.indexOf(name) !== at)).toEqual(['user']);
});
