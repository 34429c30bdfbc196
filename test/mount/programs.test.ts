/**
 * Programs that people use, on mounts of a real sshd, against the same on the local disk: version control,
 * archives, a database, a package manager, editors, big files. As root and as a plain user.
 */
import { chmod, link, mkdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Backend, closeBackend, OPENSSH_BACKENDS, remounted } from '../support/backends.js';
import { programPath } from '../support/packages.js';
import { must } from '../support/run.js';
import { type Tools, toolsOf } from '../support/tools.js';

const MIB = 1024 * 1024;

/** A tree with what trips copying programs up: links, modes, times, empty things, names that are no text. */
async function plant(tree: string): Promise<void> {
  const odd = (name: number[]) => Buffer.concat([Buffer.from(`${tree}/names/`), Buffer.from(name)]);
  for (const directory of ['names', 'sub/deep/deeper', 'empty']) {
    await mkdir(join(tree, directory), { recursive: true });
  }
  for (let n = 0; n < 60; n++) await writeFile(join(tree, 'sub', `f${n}`), `file ${n}\n`.repeat(n * 40));
  await writeFile(join(tree, 'sub/deep/deeper/big'), Buffer.alloc(2 * MIB + 17, 'pattern-'));
  await writeFile(join(tree, 'nothing'), '');
  await writeFile(join(tree, 'script'), '#!/bin/sh\nexit 0\n');
  await chmod(join(tree, 'script'), 0o755);
  await writeFile(join(tree, 'secret'), 'x');
  await chmod(join(tree, 'secret'), 0o600);
  await writeFile(odd([0xff, 0xfe, 0x41]), 'not UTF-8');
  await writeFile(join(tree, 'names', 'line\nbreak'), 'newline');
  await writeFile(join(tree, 'names', 'quote\'"\\'), 'quotes');
  await writeFile(join(tree, 'names', 'grüße 🦈'), 'UTF-8');
  await symlink('sub/f1', join(tree, 'relative'));
  await symlink('/does/not/exist', join(tree, 'dangling'));
  await symlink('../sub', join(tree, 'sub', 'loop'));
  await link(join(tree, 'sub', 'f2'), join(tree, 'second-name'));
  await utimes(join(tree, 'sub', 'f3'), 1_000_000_000, 1_100_000_000);
  await utimes(join(tree, 'empty'), 1_000_000_000, 1_200_000_000);
}

describe.each(OPENSSH_BACKENDS)('programs on $name', (kind) => {
  let backend: Backend;
  let tools: Tools;
  /** A local directory of the same user, for what is compared with. */
  let local: string;
  let home: string;

  beforeAll(async () => {
    backend = await kind.open('programs');
    local = await backend.scope.makeDirectory('local', backend.as);
    home = await backend.scope.makeDirectory('tools', backend.as);
    tools = toolsOf(backend.scope, home, backend.as);
    await plant(await backend.scope.makeDirectory('local/tree', backend.as));
    if (backend.as) await must('chown', ['-R', '-h', `${backend.as.uid}:${backend.as.gid}`, local]);
  });
  afterAll(async () => {
    if (backend) await closeBackend(backend);
  });

  /** A directory of its own on the mount, and the same on the server's disk. */
  async function place(name: string): Promise<{ here: string; there: string }> {
    const here = join(backend.directory, name);
    await tools('mkdir', '-p', here);
    return { here, there: join(backend.disk, name) };
  }

  const same = (a: string, b: string) => tools('diff', '-r', '--no-dereference', a, b);

  it('git: clone, commit, branch, gc, fsck, and a clean status', { timeout: 180_000 }, async () => {
    const { here, there } = await place('git');
    const origin = join(local, 'origin');
    await tools('git', 'init', '-q', '-b', 'main', origin);
    const inOrigin = tools.with({ cwd: origin });
    await tools('cp', '-a', join(local, 'tree', 'sub'), origin);
    await inOrigin('git', 'add', '.');
    await inOrigin('git', 'commit', '-q', '-m', 'first');
    for (let n = 0; n < 5; n++) {
      await inOrigin('sh', '-c', 'echo "$1" >> sub/f1', 'sh', `line ${n}`);
      await inOrigin('git', 'commit', '-q', '-a', '-m', `change ${n}`);
    }
    const clone = join(here, 'clone');
    await tools('git', 'clone', '-q', '--no-local', origin, clone);
    const git = (...args: string[]) => tools.with({ cwd: clone })('git', ...args);
    expect(await git('status', '--porcelain')).toBe('');
    await tools('sh', '-c', 'echo changed >> "$1"', 'sh', join(clone, 'sub/f5'));
    expect(await git('status', '--porcelain')).toBe(' M sub/f5\n');
    await git('commit', '-q', '-a', '-m', 'on the mount');
    await git('checkout', '-q', '-b', 'other', 'HEAD~3');
    await git('checkout', '-q', 'main');
    await git('mv', 'sub/f7', 'sub/f7-moved');
    await git('stash', '-q');
    await git('stash', 'pop', '-q');
    await git('commit', '-q', '-a', '-m', 'moved');
    await git('gc', '-q', '--prune=now');
    expect(await git('fsck', '--full', '--strict')).toBe('');
    await git('push', '-q', 'origin', 'main:refs/heads/from-the-mount');
    expect(await git('status', '--porcelain')).toBe('');
    // The server's own git agrees, on the disk.
    const onDisk = tools.with({ cwd: join(there, 'clone') });
    expect(await onDisk('git', 'fsck', '--full', '--strict')).toBe('');
    expect(await onDisk('git', 'log', '--format=%s', '-2')).toBe('moved\non the mount\n');
  });

  it('git: status stays clean after a remount', async () => {
    const status = () =>
      tools.with({ cwd: join(backend.directory, 'git', 'clone') })('git', 'status', '--porcelain');
    expect(await status()).toBe('');
    backend = await remounted(backend);
    expect(await status()).toBe('');
  });

  it('tar: into the mount and out of it, nothing differs', async () => {
    const { here, there } = await place('tar');
    await tools('tar', '-C', local, '-cf', join(local, 'in.tar'), 'tree');
    await tools('tar', '-C', here, '-xpf', join(local, 'in.tar'));
    await same(join(local, 'tree'), join(here, 'tree'));
    await same(join(local, 'tree'), join(there, 'tree'));
    expect(await tools('tar', '-C', here, '-df', join(local, 'in.tar'))).toBe('');
    await tools('tar', '-C', here, '-czf', join(here, 'out.tgz'), 'tree');
    await tools('mkdir', join(local, 'out'));
    await tools('tar', '-C', join(local, 'out'), '-xzpf', join(here, 'out.tgz'));
    await same(join(local, 'tree'), join(local, 'out', 'tree'));
  });

  it('rsync -aH: the second run has nothing to do, in both directions', async () => {
    const { here, there } = await place('rsync');
    const sync = (from: string, to: string) => tools('rsync', '-aHi', '--delete', `${from}/`, `${to}/`);
    expect(await sync(join(local, 'tree'), join(here, 'copy'))).not.toBe('');
    expect(await sync(join(local, 'tree'), join(here, 'copy'))).toBe('');
    await same(join(local, 'tree'), join(there, 'copy'));
    expect(
      await tools('rsync', '-aHi', '--checksum', `${join(local, 'tree')}/`, `${join(there, 'copy')}/`),
    ).toBe('');
    await sync(join(here, 'copy'), join(local, 'back'));
    expect(await sync(join(here, 'copy'), join(local, 'back'))).toBe('');
    await same(join(local, 'tree'), join(local, 'back'));
  });

  it('cp -a: links, modes, times and names that are no text, there and back', async () => {
    const { here, there } = await place('cp');
    await tools('cp', '-a', join(local, 'tree'), here);
    await same(join(local, 'tree'), join(here, 'tree'));
    await tools('cp', '-a', join(here, 'tree'), join(here, 'again'));
    await tools('cp', '-a', join(here, 'again'), join(local, 'cp-back'));
    await same(join(local, 'tree'), join(local, 'cp-back'));
    const list = (at: string) =>
      tools('find', at, '-mindepth', '1', '!', '-type', 'd', '-printf', '%P %y %m %s %Ts %l\\0');
    const sorted = async (at: string) => (await list(at)).split('\0').sort();
    const expected = (await sorted(join(local, 'tree'))).map((line) => line.replace(/(\d+)\.\d+/, '$1'));
    expect(await sorted(join(there, 'tree'))).toEqual(expected);
    expect(await sorted(join(local, 'cp-back'))).toEqual(expected);
    await tools('rm', '-r', join(here, 'again'));
    expect((await stat(join(there, 'tree', 'second-name'))).nlink).toBe(2);
  });

  it('sqlite3: a rollback journal, hundreds of inserts, a rollback, integrity', async () => {
    const { here, there } = await place('sqlite');
    const sql = (file: string, statements: string) => tools('sqlite3', '-bail', file, statements);
    const database = join(here, 'data.db');
    await sql(database, 'PRAGMA journal_mode=DELETE; CREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT);');
    const inserts = Array.from({ length: 200 }, (_, n) => `INSERT INTO t(text) VALUES('row ${n}');`);
    await sql(database, inserts.slice(0, 60).join('\n'));
    await sql(database, `BEGIN;${inserts.slice(60).join('\n')}COMMIT;`);
    await sql(database, `BEGIN;DELETE FROM t;ROLLBACK;CREATE INDEX i ON t(text);VACUUM;`);
    const count = 'SELECT count(*), max(text) FROM t; PRAGMA integrity_check;';
    expect(await sql(database, count)).toBe('200|row 99\nok\n');
    expect(await sql(join(there, 'data.db'), count)).toBe('200|row 99\nok\n');
  });

  it('sqlite3: two writers at once lose no row', async () => {
    const { here } = await place('sqlite-two');
    const database = join(here, 'data.db');
    await tools('sqlite3', database, 'CREATE TABLE t(who TEXT, n INTEGER);');
    const writer = (who: string) =>
      tools(
        'sqlite3',
        '-bail',
        '-cmd',
        '.timeout 60000',
        database,
        Array.from({ length: 40 }, (_, n) => `INSERT INTO t VALUES('${who}',${n});`).join('\n'),
      );
    await Promise.all([writer('a'), writer('b')]);
    expect(await tools('sqlite3', database, 'SELECT count(*) FROM t; PRAGMA integrity_check;')).toBe(
      '80\nok\n',
    );
  });

  it('npm install of a package', { timeout: 180_000 }, async () => {
    const { here, there } = await place('npm');
    const source = join(local, 'package');
    await tools('mkdir', '-p', join(source, 'lib'));
    const write = (path: string, text: string) =>
      tools('sh', '-c', 'printf %s "$2" > "$1"', 'sh', path, text);
    await write(
      join(source, 'package.json'),
      '{"name":"tiny","version":"1.0.0","bin":{"tiny":"lib/main.js"},"main":"lib/main.js"}',
    );
    await write(join(source, 'lib', 'main.js'), '#!/usr/bin/env node\nconsole.log("tiny works");\n');
    const npm = tools.with({
      env: {
        npm_config_cache: join(home, 'npm'),
        npm_config_offline: 'true',
        npm_config_audit: 'false',
        npm_config_fund: 'false',
        npm_config_update_notifier: 'false',
      },
    });
    const program = join(dirname(process.execPath), 'npm');
    await npm(program, 'pack', '--silent', '--pack-destination', local, source);
    await write(join(here, 'package.json'), '{"name":"app","version":"1.0.0","private":true}');
    await npm.with({ cwd: here })(program, 'install', '--silent', join(local, 'tiny-1.0.0.tgz'));
    expect(await tools(join(here, 'node_modules', '.bin', 'tiny'))).toBe('tiny works\n');
    expect(JSON.parse(await readFile(join(there, 'package.json'), 'utf8')).dependencies).toHaveProperty(
      'tiny',
    );
  });

  it('editors: sed -i, vim, and a save by temporary file and rename', async () => {
    const { here, there } = await place('edit');
    const file = join(here, 'text');
    await tools('sh', '-c', 'printf "one\\ntwo\\nthree\\n" > "$1"', 'sh', file);
    await tools('sed', '-i', 's/two/TWO/', file);
    expect(await readFile(join(there, 'text'), 'utf8')).toBe('one\nTWO\nthree\n');
    const vim = await programPath('vim');
    await tools.with({ input: ':%s/three/THREE/\n:wq\n' })(vim, '-u', 'NONE', '-es', file);
    expect(await readFile(join(there, 'text'), 'utf8')).toBe('one\nTWO\nTHREE\n');
    for (let turn = 0; turn < 10; turn++) {
      await tools(
        'python3',
        '-c',
        `
import os, sys
path, text = sys.argv[1:]
fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
os.write(fd, text.encode())
os.fsync(fd)
os.close(fd)
os.rename(path + ".new", path)`,
        file,
        `saved ${turn}\n`,
      );
      expect(await tools('cat', file)).toBe(`saved ${turn}\n`);
      expect(await readFile(join(there, 'text'), 'utf8')).toBe(`saved ${turn}\n`);
    }
    expect(await tools('ls', '-A', here)).toBe('text\n');
  });

  it('grep -r and find see what the server sees', async () => {
    const { here, there } = await place('walk');
    await tools('cp', '-a', join(local, 'tree'), here);
    const sorted = (text: string) => text.split('\n').sort();
    for (const [program, ...args] of [
      ['grep', '-rl', 'file 7', '.'],
      ['find', '.', '-type', 'f', '-size', '+4k'],
      ['find', '.', '-type', 'f', '-printf', '%s %n %m %u %g %P\n'],
    ] as const) {
      const at = (cwd: string) => tools.with({ cwd })(program, ...args);
      expect(sorted(await at(here))).toEqual(sorted(await at(there)));
    }
  });

  it('a sparse file of 5 GiB: small on the server, readable behind 4 GiB', async () => {
    const { here, there } = await place('sparse');
    const file = join(here, 'sparse');
    await tools('truncate', '-s', '5G', file);
    await tools(
      'python3',
      '-c',
      `
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(5 * 2**30 - 3)
    f.write(b"end")
    f.seek(4 * 2**30 + 1)
    f.write(b"beyond")`,
      file,
    );
    expect((await stat(join(there, 'sparse'))).size).toBe(5 * 1024 * MIB);
    expect((await stat(join(there, 'sparse'))).blocks).toBeLessThan(4096);
    const read = await tools(
      'python3',
      '-c',
      `
import sys
with open(sys.argv[1], "rb") as f:
    f.seek(4 * 2**30)
    print(f.read(8))
    f.seek(5 * 2**30 - 4)
    print(f.read(100), f.tell())`,
      file,
    );
    expect(read).toBe("b'\\x00beyond\\x00'\nb'\\x00end' 5368709120\n");
    await tools('rm', file);
  });

  it('1 GiB copied in and out keeps every byte', { timeout: 300_000 }, async () => {
    const { here, there } = await place('gib');
    const source = join(local, 'gib');
    await tools('sh', '-c', 'head -c 1073741824 /dev/urandom > "$1"', 'sh', source);
    expect((await stat(source)).size).toBe(1024 * MIB);
    await tools('cp', source, join(here, 'gib'));
    await tools('cmp', source, join(there, 'gib'));
    await tools('cp', join(here, 'gib'), join(local, 'gib-back'));
    await tools('cmp', source, join(local, 'gib-back'));
    await tools('rm', join(local, 'gib-back'), join(here, 'gib'), source);
  });
});
