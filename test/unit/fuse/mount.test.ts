import { describe, expect, it } from 'vitest';
import { descriptorIn } from '../../../src/fuse/libc.js';
import { parseDarwinMounts } from '../../../src/fuse/mount/darwin.js';
import { explainHelper } from '../../../src/fuse/mount/helper.js';
import { parseFuseMounts } from '../../../src/fuse/mount/mounts.js';
import { helperOptions, mountData, mountFlags } from '../../../src/fuse/mount/options.js';
import { hasSysAdmin, letsOthersIn } from '../../../src/fuse/mount/privileges.js';
import { bytes } from '../../support/fuse-wire.js';

const options = { mountpoint: '/mnt', fsname: 'host:dir', subtype: 'remora' };

describe('what mount(8) of macOS prints', () => {
  it('tells the FUSE mounts', () => {
    const text = [
      '/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)',
      'me@host:on the way on /Users/me/m (1) (macfuse, nodev, nosuid, synchronized, mounted by me)',
      'fuse-t:/remora on /Users/me/n (nfs, nodev, nosuid, mounted by me)',
      'server:/export on /Volumes/export (nfs)',
      '',
    ].join('\n');
    expect(parseDarwinMounts(text)).toMatchObject([
      { source: 'me@host:on the way', mountpoint: '/Users/me/m (1)', fstype: 'macfuse' },
      { source: 'fuse-t:/remora', mountpoint: '/Users/me/n', fstype: 'nfs' },
    ]);
  });
});

describe('mountinfo', () => {
  it('tells the FUSE mounts, with their escapes undone', () => {
    const text = [
      '22 27 0:21 / /proc rw,relatime - proc proc rw',
      '40 27 0:39 / /mnt/a\\040b\\011c\\134d rw,nosuid shared:1 master:2 - fuse.remora u@h:\\040x rw,user_id=1000,group_id=1000',
      '41 27 0:40 / /mnt/\xc3\xbc rw - fuse /dev/fuse rw,user_id=0,group_id=0,allow_other',
      '42 27 0:41 / /ctl rw - fusectl fusectl rw',
      '',
    ].join('\n');
    expect(parseFuseMounts(text)).toEqual([
      {
        source: 'u@h: x',
        mountpoint: '/mnt/a b\tc\\d',
        fstype: 'fuse.remora',
        major: 0,
        minor: 39,
        userId: 1000,
      },
      { source: '/dev/fuse', mountpoint: '/mnt/ü', fstype: 'fuse', major: 0, minor: 40, userId: 0 },
    ]);
  });

  it('a line cut anywhere is no mount, or still the same one', () => {
    const line = '40 27 0:39 / /mnt/a rw shared:1 - fuse.remora src rw,user_id=1';
    for (let length = 0; length < line.length - 12; length++) {
      expect(parseFuseMounts(line.slice(0, length)).every((mount) => mount.mountpoint === '/mnt/a')).toBe(
        true,
      );
    }
  });
});

describe('options', () => {
  it('as flags and data of mount(2)', () => {
    expect(mountFlags(options)).toBe(2 | 4);
    expect(mountFlags({ ...options, nosuid: false, nodev: false, readOnly: true, noexec: true })).toBe(1 | 8);
    expect(mountFlags({ ...options, sync: true, noatime: true })).toBe(2 | 4 | 16 | 1024);
    const owner = { fd: 9, rootMode: 0o040000, uid: 1, gid: 2 };
    expect(mountData(options, owner)).toBe('fd=9,rootmode=40000,user_id=1,group_id=2,max_read=1048576');
    expect(mountData({ ...options, allowOther: true, defaultPermissions: true, maxRead: 65536 }, owner)).toBe(
      'fd=9,rootmode=40000,user_id=1,group_id=2,allow_other,default_permissions,max_read=65536',
    );
  });

  it('as the list of fusermount3, where a comma in the source cannot become an option', () => {
    expect(helperOptions({ ...options, fsname: 'host:a,allow_other\\' })).toBe(
      'nosuid,nodev,fsname=host:a\\,allow_other\\\\,subtype=remora,max_read=1048576',
    );
  });
});

describe('what fusermount3 complains of', () => {
  it.each([
    [
      "fusermount3: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf",
      'helper-failed',
      'user_allow_other',
    ],
    ["fusermount3: fuse device not found, try 'modprobe fuse' first", 'no-device', 'modprobe fuse'],
    ['fusermount3: failed to unmount /m: Device or resource busy', 'busy', '/m is in use'],
    ['fusermount3: entry for /m not found in /etc/mtab', 'not-mounted', 'not mounted'],
    ['fusermount3: failed to unmount /m: Invalid argument', 'not-mounted', 'not mounted'],
    ['fusermount3: mount failed: Operation not permitted', 'helper-failed', 'CAP_SYS_ADMIN'],
    ['fusermount3: user has no write access to mountpoint /m', 'helper-failed', 'no write access'],
    ['', 'helper-failed', 'no reason'],
  ])('%s', (stderr, kind, words) => {
    const error = explainHelper(stderr, '/m');
    expect(error.kind).toBe(kind);
    expect(error.message).toContain(words);
  });
});

describe('a received descriptor', () => {
  const control = bytes(
    ['1400000000000000', 'cmsg_len 20'],
    ['01000000', 'SOL_SOCKET'],
    ['01000000', 'SCM_RIGHTS'],
    ['09000000', 'descriptor 9'],
    ['00000000', 'padding'],
  );

  it('is read from the control data', () => {
    expect(descriptorIn(control)).toBe(9);
  });

  it('is none when the data is cut, of another type, or lies about its length', () => {
    for (let length = 0; length < 20; length++) expect(descriptorIn(control.subarray(0, length))).toBeNull();
    const other = Buffer.from(control);
    other.writeInt32LE(2, 12);
    expect(descriptorIn(other)).toBeNull();
    const long = Buffer.from(control);
    long.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, 0);
    expect(descriptorIn(long)).toBeNull();
  });
});

it('user_allow_other counts on a line of its own', () => {
  expect(letsOthersIn('# user_allow_other\nmount_max = 1000\n')).toBe(false);
  expect(letsOthersIn('# x\n  user_allow_other \n')).toBe(true);
});

it('CAP_SYS_ADMIN is looked for in the effective set', () => {
  expect(hasSysAdmin('CapPrm:\t000001ffffffffff\nCapEff:\t00000000a80425fb\n')).toBe(false);
  expect(hasSysAdmin('CapEff:\t0000000000200000\n')).toBe(true);
  expect(hasSysAdmin('')).toBe(false);
});
