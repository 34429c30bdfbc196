import { describe, expect, it, test } from 'vitest';
import { OptionError } from '../../../src/config/errors.js';
import { allMounts, findMount, optionsForHost, parseConfigFile } from '../../../src/config/file.js';
import {
  completeOptions,
  mergeOptions,
  type ParsedOptions,
  parseOptions,
} from '../../../src/config/parse.js';
import { lineOf } from '../../../src/config/toml.js';

const parse = (text: string, isPrivate = true) => parseConfigFile(text, 'c.toml', isPrivate);

const FILE = parse(`
[defaults]
idmap = "user"
timeout = 10
IdentityFile = "/d"

[host."nas box.*"]
port = 2222
timeout = 20
IdentityFile = ["/h1", "/h2"]

[host."* !nas"]
Compression = true

[host.nas]
timeout = 30
ServerAliveInterval = 5

[mount.work]
source = "bob@nas:src"
mountpoint = "~/work"
ro = true
timeout = 40

[mount.other]
source = "box.lan:"
mountpoint = "/mnt/other"
noauto = true
`);

describe('what a file says', () => {
  it('mounts with their names', () => {
    expect(
      FILE.mounts.map(({ name, source, mountpoint, noauto }) => [name, source, mountpoint, noauto]),
    ).toEqual([
      ['work', 'bob@nas:src', '~/work', false],
      ['other', 'box.lan:', '/mnt/other', true],
    ]);
    expect(findMount([FILE], 'work')?.options.given).toEqual({ readOnly: true, timeout: 40 });
    expect(findMount([FILE], 'nothing')).toBeNull();
  });

  test.each<[string, ParsedOptions['given']]>([
    [
      'nas',
      { idmap: 'user', port: 2222, timeout: 20, identityFiles: ['/h1', '/h2', '/d'], serverAliveInterval: 5 },
    ],
    [
      'NAS',
      { idmap: 'user', port: 2222, timeout: 20, identityFiles: ['/h1', '/h2', '/d'], serverAliveInterval: 5 },
    ],
    [
      'box.lan',
      { idmap: 'user', port: 2222, timeout: 20, identityFiles: ['/h1', '/h2', '/d'], compression: true },
    ],
    ['else', { idmap: 'user', timeout: 10, identityFiles: ['/d'], compression: true }],
  ])('host %s: its sections in the order of the file, then the defaults', (host, expected) => {
    expect(optionsForHost([FILE], host).given).toEqual(expected);
  });

  it('the first of two files counts before the second one', () => {
    const machine = parse(
      '[defaults]\ntimeout = 1\nport = 1\n[mount.work]\nsource = "x:"\nmountpoint = "/x"',
    );
    expect(optionsForHost([FILE, machine], 'else').given).toMatchObject({ timeout: 10, port: 1 });
    expect(findMount([FILE, machine], 'work')?.source).toBe('bob@nas:src');
    expect(allMounts([FILE, machine]).map(({ name }) => name)).toEqual(['work', 'other']);
  });

  test.each<[string, ParsedOptions['given']]>([
    ['ro = true', { readOnly: true }],
    ['ro = false', { readOnly: false }],
    ['reconnect = false', { reconnect: false }],
    ['no_reconnect = true', { reconnect: false }],
    ['hard = true', { timeout: Number.MAX_SAFE_INTEGER }],
    ['attr_timeout = 0.5', { attrTimeout: 0.5 }],
    ['contain_symlinks = true', { containSymlinks: 'strict' }],
    ['contain_symlinks = "share"', { containSymlinks: 'share' }],
    ['StrictHostKeyChecking = true', { strictHostKeyChecking: 'yes' }],
    ['cache_size = "1M"', { cacheSize: 2 ** 20 }],
    ['fsname = "a,b\\\\c"', { fsname: 'a,b\\c' }],
    ['Ciphers = ["a", "b"]', { ciphers: ['a', 'b'] }],
    ['UserKnownHostsFile = ["/a b", "/c"]', { userKnownHostsFiles: ['/a b', '/c'] }],
    ['noauto = true\nnofail = true\nuser = true\nForwardAgent = true', {}],
  ])('%s', (line, expected) => {
    expect(parse(`[defaults]\n${line}`).defaults.given).toEqual(expected);
  });

  it("ssh's other words are for ssh", () => {
    expect(parse('[defaults]\nTag = "x"\nForwardAgent = false').defaults.sshWords).toEqual([
      { keyword: 'Tag', value: 'x', effect: 'resolution', namesFiles: false },
      { keyword: 'ForwardAgent', value: 'no', effect: 'none', namesFiles: false },
    ]);
  });
});

describe('a mistake has its line', () => {
  test.each([
    ['a = [', 'c.toml:1: '],
    ['[defaults]\nro = true\nro = false', 'c.toml:3: '],
    ['[default]\nro = true', 'c.toml:1: unknown section [default]: did you mean [defaults]?'],
    ['[servers]', 'c.toml:1: unknown section [servers]: there are defaults, host, mount'],
    ['ro = true', "c.toml:1: 'ro' is outside of a section: write [defaults] above it"],
    ['defaults = 3', "c.toml:1: 'defaults' is a section: write [defaults]"],
    ['[host]\nport = 3', "c.toml:2: 'port' is outside of a section: write [host.NAME] above it"],
    ['# one\n\n[defaults]\nidmpa = "user"', "c.toml:4: unknown option 'idmpa=user': did you mean 'idmap'?"],
    ['[host.nas]\nro = true\nport = 0', "c.toml:3: option 'port' cannot be '0': the range is 1 to 65535"],
    ['[defaults]\nIdentityFile = [\n "/a",\n "",\n]', "c.toml:2: option 'IdentityFile' cannot be ''"],
    ['[defaults]\nport = [1, 2]', "c.toml:2: option 'port' takes one value, not several"],
    ['[defaults]\nport = true', "c.toml:2: option 'port' needs a value: port=N"],
    ['[defaults]\nno_reconnect = false', "c.toml:2: 'no_reconnect' cannot be false: leave it out"],
    ['[defaults]\nport = 2020-01-01', "c.toml:2: option 'port' is a text, a number, true or false"],
    ['[host.nas.lan]\nport = 3', 'c.toml:1: a name with dots stands in quotes: [host."nas.lan"]'],
    ['[host." "]\nport = 3', 'c.toml:1: a host section needs a name or a pattern'],
    ['[mount.a]\nmountpoint = "/m"', "c.toml:1: the mount 'a' needs a source"],
    ['[mount.a]\nsource = "h:"', "c.toml:1: the mount 'a' needs a mountpoint"],
    ['[mount.a]\nro = true\nsorce = "h:"', "c.toml:3: 'sorce' is unknown here: did you mean 'source'?"],
    ['[mount.a]\nmount_point = "/m"', "c.toml:2: 'mount_point' is unknown here: did you mean 'mountpoint'?"],
    ['[mount.a]\nprot = 22', "c.toml:2: unknown option 'prot=22': did you mean 'port'?"],
    ['[mount.a]\nmountpoint = "/m"\nsource = 5', "c.toml:3: write 'source' as a text: source = "],
    ['[mount.a]\nsource = "h:"\nmountpoint = ""', "c.toml:3: write 'mountpoint' as a text"],
    ['[mount.a]\nsource = "h:"\nmountpoint = "m"', "c.toml:3: the mount point 'm' must begin with / or ~/"],
    ['[mount."a b"]\nsource = "h:"', "c.toml:1: 'a b' cannot be the name of a mount"],
    ['[mount.-a]\nsource = "h:"', "c.toml:1: '-a' cannot be the name of a mount"],
    ['[defaults]\npassword = "x"', 'c.toml:2: no password is kept in this file'],
  ])('%j', (text, message) => {
    expect(() => parse(text)).toThrow(OptionError);
    expect(() => parse(text)).toThrow(message);
  });

  it('a password of a proxy only where nobody else reads it', () => {
    const text = '[defaults]\nhttp_proxy = "me:secret@proxy:8080"';
    expect(parse(text).defaults.given.httpProxy).toBe('me:secret@proxy:8080');
    expect(() => parse(text, false)).toThrow(
      "c.toml:2: others can read this file, and 'http_proxy' holds a password",
    );
    expect(() => parse(text, false)).not.toThrow('secret');
    expect(parse('[defaults]\nsocks_proxy = "proxy:1080"', false).defaults.given.socksProxy).toBe(
      'proxy:1080',
    );
  });

  it('finds keys wherever they stand', () => {
    const text = '[a]\nx = 1\ny = [\n  2,\n]\n\n[b.c]\n"q r" = """\nlong\n"""\nz = 3\n';
    expect(lineOf(text, ['a', 'x'])).toBe(2);
    expect(lineOf(text, ['a', 'y'])).toBe(3);
    expect(lineOf(text, ['b', 'c'])).toBe(7);
    expect(lineOf(text, ['b', 'c', 'q r'])).toBe(8);
    expect(lineOf(text, ['b', 'c', 'z'])).toBe(11);
  });

  it('is not led astray by what strings and comments hold, nor by the ends of lines', () => {
    const lines = [
      'one = "[\\"" # [ " \'\'\'',
      "two = '''",
      "['' a''''' # [",
      'three = [ # ]',
      '  { x = "}]" }, \'[\',',
      ']',
      'four = """a""b\\"""',
      'four = 4"""""',
      'five.six = ""',
      ' [ "a.b" . c ] # [d]',
      'two = 2',
    ];
    for (const text of [lines.join('\n'), `${lines.join('\r\n')}\r\n`]) {
      const found = [['one'], ['two'], ['three'], ['four'], ['five', 'six'], ['a.b'], ['a.b', 'c', 'two']];
      expect(found.map((keys) => lineOf(text, keys))).toEqual([1, 2, 4, 7, 9, 10, 11]);
    }
  });

  it('in a long file as soon as in a short one', () => {
    const lines = Array.from(
      { length: 15_000 },
      (_, at) => `[host.h${at}]\nIdentityFile = [\n  "~/.ssh/${at}",\n]\n`,
    );
    const text = `${lines.join('')}[mount.last]\nsource = "${'x'.repeat(300_000)}:"\nmountpoint = "m"\n`;
    expect(lineOf(text, ['mount', 'last', 'mountpoint'])).toBe(60_003);
  });
});

describe('one set of options before another', () => {
  const merged = (first: string, then: string) => mergeOptions(parseOptions([first]), parseOptions([then]));

  it('the first that says something counts; keys add up', () => {
    const { given } = merged('port=1,IdentityFile=/1', 'port=2,ro,IdentityFile=/2');
    expect(given).toEqual({ port: 1, readOnly: true, identityFiles: ['/1', '/2'] });
    expect(completeOptions(given).idmap).toBe('none');
  });

  it('ssh is told the same', () => {
    const { sshWords } = merged('port=1,IdentityFile=/1,Tag=a', 'Port=2,User=b,IdentityFile=/2,Tag=c');
    expect(sshWords.map(({ keyword, value }) => `${keyword}=${value}`)).toEqual([
      'Port=1',
      'IdentityFile=/1',
      'Tag=a',
      'User=b',
      'IdentityFile=/2',
      'Tag=c',
    ]);
  });
});
