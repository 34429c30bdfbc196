/** Whose files they are, here and on the server, and whose what programs create becomes. */
import { chmod, mkdir, readlink, rmdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ascii, type ByteString } from '../../../src/base/bytes.js';
import { deferred } from '../../../src/base/deferred.js';
import { O_EXCL, O_RDWR } from '../../../src/base/mode.js';
import { everyone, SAME_IDS, swapped, tabled } from '../../../src/fs/id-map.js';
import { type LocalAccounts, NameMaps } from '../../../src/fs/name-map.js';
import { EXTENSION_REVISIONS, LSETSTAT } from '../../../src/sftp/constants.js';
import { openDirect, path } from '../../support/direct-filesystem.js';

const isRoot = process.getuid?.() === 0;
const named = (name: string) => ({ path: path(name), handle: null });

describe('idmap=user', () => {
  const map = swapped(501, 1000);

  it('shows the login’s files as those of the person who mounts, and gives them back so', () => {
    expect([1000, 0, 7].map((id) => map.toLocal(id))).toEqual([501, 0, 7]);
    expect([501, 0, 7].map((id) => map.toRemote(id))).toEqual([1000, 0, 7]);
  });
});

describe('idmap=file', () => {
  it('translates both ways who is in the table', () => {
    const map = tabled([[12_345, 1]], true);
    expect(map.toLocal(12_345)).toBe(1);
    expect(map.toRemote(1)).toBe(12_345);
    expect(map.hides(12_345)).toBe(false);
  });

  it('hides others, and lets nothing be given to them, unless nomap=ignore', () => {
    const strict = tabled([[12_345, 1]], true);
    expect(strict.hides(7)).toBe(true);
    expect(() => strict.toRemote(7)).toThrow(expect.objectContaining({ code: 'EPERM' }));
    const loose = tabled([[12_345, 1]], false);
    expect([loose.hides(7), loose.toLocal(7), loose.toRemote(7)]).toEqual([false, 7, 7]);
  });

  it('lists what it hides, and answers EPERM for it', async () => {
    const uid = process.getuid?.() ?? 0;
    const { fs, disk } = await openDirect({}, { users: tabled([[uid + 1, 5]], true) });
    await mkdir(join(disk, 'd'));
    await writeFile(join(disk, 'd', 'f'), 'x');
    await expect(fs.lookup(path('d'))).rejects.toMatchObject({ code: 'EPERM' });
    const { handle } = await fs.opendir(path('d'));
    const listing = await fs.readdir(handle, true);
    expect(listing.entries.map(({ name }) => name)).toEqual(['f']);
    expect(listing.entries.map((entry) => listing.describe(entry))).toEqual([undefined]);
    await fs.releasedir(handle);
  });
});

describe('uid= and gid=', () => {
  it('are everybody’s, with the modes of umask=', async () => {
    const identity = { users: everyone(7, SAME_IDS), groups: everyone(8, SAME_IDS), umask: 0o077 };
    const { fs, disk } = await openDirect({}, identity);
    await writeFile(join(disk, 'f'), 'x', { mode: 0o640 });
    expect((await fs.lookup(path('f'))).attributes).toMatchObject({ uid: 7, gid: 8, mode: 0o100700 });
  });

  it('make giving a file to whom it is shown to belong to change nothing, so that cp -a and rsync succeed', async () => {
    const identity = { users: everyone(1234, SAME_IDS), groups: everyone(4321, SAME_IDS) };
    const { fs, disk, requests } = await openDirect({}, identity);
    await writeFile(join(disk, 'f'), 'x');
    const { uid } = await stat(join(disk, 'f'));
    const { attributes } = await fs.setattr(named('f'), { uid: 1234, gid: 4321, mode: 0o600 });
    expect(attributes).toMatchObject({ uid: 1234, gid: 4321, mode: 0o100600 });
    expect((await stat(join(disk, 'f'))).uid).toBe(uid);
    requests.length = 0;
    await fs.setattr(named('f'), { uid: 1234 });
    expect(requests).not.toContain('setstat');
  });
});

describe('idmap=name', () => {
  const people: Readonly<Record<string, number>> = { alice: 1001, taken: 2002 };
  const accounts: LocalAccounts = {
    idsOf: async (_kind, names) => {
      const found = names.filter((name) => Object.hasOwn(people, name));
      return new Map(found.map((name) => [name, people[name] ?? 0]));
    },
    namesOf: async (_kind, ids) => {
      const found = Object.entries(people).filter(([, id]) => ids.includes(id));
      return new Map(found.map(([name, id]) => [id, ascii(name)]));
    },
  };
  const server: Readonly<Record<number, string>> = { 5: 'alice', 6: 'bob', 2002: 'carol', 1900: 'taken' };

  function openMaps() {
    const asked: (readonly number[])[] = [];
    const nameOf = (id: number): ByteString => ascii(server[id] ?? '');
    const maps = new NameMaps(async (uids, gids) => {
      asked.push([...uids, ...gids]);
      return { users: uids.map(nameOf), groups: gids.map(nameOf) };
    }, accounts);
    return { maps, asked };
  }

  it('shows the user of the same name, a stranger by a number that is nobody’s, or nobody', async () => {
    const { maps } = openMaps();
    await maps.meet([5, 6, 2002, 3000].map((uid) => ({ uid, gid: 0 })));
    expect([5, 6, 2002, 3000].map((id) => maps.users.toLocal(id))).toEqual([1001, 6, 65_534, 3000]);
  });

  it('asks for an owner once, however many files are met at a time', async () => {
    const { maps, asked } = openMaps();
    const met = [
      maps.meet([{ uid: 5, gid: 6 }]),
      maps.meet([{ uid: 5, gid: 6 }]),
      maps.meet([{ uid: 6, gid: 6 }]),
    ];
    await Promise.all(met);
    expect(asked).toEqual([[5, 6], [6]]);
    expect(maps.meet([{ uid: 5, gid: 6 }, {}])).toBeNull();
  });

  it('gives a file to the user of that name, also to one that no file has shown, and EINVAL if there is none', async () => {
    const { maps, asked } = openMaps();
    await maps.meet([{ uid: 5, gid: 0 }]);
    asked.length = 0;
    expect(await maps.users.toRemote(1001)).toBe(5);
    expect(asked).toEqual([]);
    expect(await maps.users.toRemote(2002)).toBe(1900);
    expect(maps.users.toLocal(1900)).toBe(2002);
    expect(await maps.users.toRemote(77)).toBe(77);
    const lonely = new NameMaps(async (uids) => ({ users: uids.map(() => ascii('')), groups: [] }), accounts);
    await expect(lonely.users.toRemote(1001)).rejects.toMatchObject({ code: 'EINVAL' });
  });

  it('shows nobody while the server does not answer, and asks again', async () => {
    let isDown = true;
    const maps = new NameMaps(async (uids, gids) => {
      if (isDown) throw new Error('lost');
      return { users: uids.map(() => ascii('alice')), groups: gids.map(() => ascii('')) };
    }, accounts);
    await maps.meet([{ uid: 5, gid: 5 }]);
    expect(maps.users.toLocal(5)).toBe(65_534);
    isDown = false;
    await maps.meet([{ uid: 5, gid: 5 }]);
    expect([maps.users.toLocal(5), maps.groups.toLocal(5)]).toEqual([1001, 5]);
  });
});

describe.runIf(isRoot)('a mount that users share', () => {
  const by = { uid: 4242, gid: 2424 };
  const shared = () => openDirect({}, { givesAway: true });

  it('gives what a user creates to that user, who waits for one round trip', async () => {
    const { fs, disk, requests } = await shared();
    await fs.lookup(path(''));
    requests.length = 0;
    const { attributes, handle } = await fs.create(path('f'), O_RDWR | O_EXCL, 0o640, by);
    expect(requests).toEqual(['open', 'lstat', 'fsetstat']);
    expect(attributes).toMatchObject({ uid: 4242, gid: 2424, mode: 0o100640 });
    await fs.release(handle);
    requests.length = 0;
    expect((await fs.mkdir(path('d'), 0o750, by)).attributes).toMatchObject({ uid: 4242, mode: 0o40750 });
    // The first one is about the directory, and travels with the others.
    expect(requests).toEqual(['lstat', 'mkdir', 'lstat', 'lsetstat']);
    await fs.symlink(path('l'), ascii('f'), by);
    for (const name of ['f', 'd', 'l']) {
      expect((await fs.getattr(named(name))).attributes).toMatchObject({ uid: 4242, gid: 2424 });
      await expect.poll(async () => (await stat(join(disk, name))).uid).toBe(4242);
    }
  });

  it('without lsetstat leaves directories to the login: a link in place of one would be followed', async () => {
    const extensions = new Set([...EXTENSION_REVISIONS.keys()].filter((name) => name !== LSETSTAT));
    const { fs, disk, link, after, requests } = await openDirect({}, { givesAway: true }, { extensions });
    await writeFile(join(disk, 'victim'), 'secret');
    // Somebody on the server swaps it as soon as it was looked at.
    after.set('lstat', async () => {
      const swapped = await rmdir(join(disk, 'd')).catch(() => 'not there');
      if (swapped === undefined) await symlink('victim', join(disk, 'd'));
    });
    await fs.mkdir(path('d'), 0o755, by);
    after.clear();
    await fs.mkdir(path('e'), 0o755, by);
    await fs.symlink(path('l'), ascii('victim'), by);
    const { handle } = await fs.create(path('f'), O_RDWR | O_EXCL, 0o644, by);
    await fs.release(handle);
    await expect.poll(async () => (await stat(join(disk, 'f'))).uid).toBe(4242);
    expect(await readlink(join(disk, 'd'))).toBe('victim');
    expect((await stat(join(disk, 'victim'))).uid).toBe(0);
    expect((await fs.getattr(named('e'))).attributes.uid).toBe(0);
    expect(requests).not.toContain('setstat');
    expect(link.reports).toEqual([expect.stringContaining('no lsetstat@openssh.com')]);
  });

  it('leaves the group to a set-group-ID directory, and keeps set-user-ID bits that a change of owner takes', async () => {
    const { fs, disk } = await shared();
    await mkdir(join(disk, 'team'));
    await chmod(join(disk, 'team'), 0o2775);
    const { attributes, handle } = await fs.create(path('team/f'), O_RDWR | O_EXCL, 0o4755, by);
    expect(attributes).toMatchObject({ uid: 4242, gid: 0, mode: 0o104755 });
    await fs.release(handle);
    const made = await fs.mkdir(path('team/d'), 0o770, by);
    expect(made.attributes).toMatchObject({ uid: 4242, gid: 0, mode: 0o42770 });
    expect((await stat(join(disk, 'team/f'))).mode & 0o7777).toBe(0o4755);
    expect((await stat(join(disk, 'team/d'))).mode & 0o7777).toBe(0o2770);
  });

  it('never touches what was there: a file that another created meanwhile stays as it is', async () => {
    const { fs, disk, requests } = await shared();
    await fs.lookup(path(''));
    await fs.lookup(path('f'));
    await writeFile(join(disk, 'f'), 'theirs');
    await expect(fs.create(path('f'), O_RDWR | O_EXCL, 0o600, by)).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(fs.mkdir(path('f'), 0o700, by)).rejects.toMatchObject({ code: 'EEXIST' });
    expect((await stat(join(disk, 'f'))).uid).toBe(0);
    expect(requests.filter((name) => name.endsWith('setstat'))).toEqual([]);
  });

  it('shows the login’s file when the server refuses, and stops trying', async () => {
    const { fs, before, requests } = await shared();
    const answer = deferred<void>();
    before.set('fsetstat', () => answer.promise);
    const first = await fs.create(path('a'), O_RDWR | O_EXCL, 0o600, by);
    answer.reject(new Error('refused'));
    await expect.poll(async () => (await fs.getattr(named('a'))).attributes.uid).toBe(0);
    before.clear();
    requests.length = 0;
    const second = await fs.create(path('b'), O_RDWR | O_EXCL, 0o600, by);
    expect(requests).toEqual(['open', 'lstat']);
    await fs.release(first.handle);
    await fs.release(second.handle);
  });
});
