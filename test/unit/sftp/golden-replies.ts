/** Every reply as a value and as the bytes it is on the wire. Id 0x01020304 throughout. */
import { ascii, type ByteString } from '../../../src/base/bytes.js';
import * as c from '../../../src/sftp/constants.js';
import type { SftpHandle } from '../../../src/sftp/handle.js';
import type { Reply } from '../../../src/sftp/replies.js';
import { wire } from '../../support/wire.js';

function packet(length: string, type: string, ...rows: string[]): Buffer {
  return wire(`${length}  length`, `${type}  type`, '01 02 03 04  id', ...rows);
}

export const REPLIES: readonly { name: string; reply: Reply; bytes: Buffer }[] = [
  {
    name: 'STATUS',
    reply: { type: c.SSH_FXP_STATUS, code: 2, message: ascii('gone') },
    bytes: packet(
      '00 00 00 15',
      '65',
      '00 00 00 02  SSH_FX_NO_SUCH_FILE',
      '00 00 00 04  length',
      '"gone"',
      '00 00 00 00  no language',
    ),
  },
  {
    name: 'HANDLE',
    reply: { type: c.SSH_FXP_HANDLE, handle: '\x00\xff' as SftpHandle },
    bytes: packet('00 00 00 0b', '66', '00 00 00 02  length', '00 ff  opaque bytes'),
  },
  {
    name: 'DATA',
    reply: { type: c.SSH_FXP_DATA, data: Buffer.from([1, 2, 3]) },
    bytes: packet('00 00 00 0c', '67', '00 00 00 03  length', '01 02 03'),
  },
  {
    name: 'NAME with two names',
    reply: {
      type: c.SSH_FXP_NAME,
      names: [
        { filename: '\xfe' as ByteString, longname: ascii('l'), attributes: { permissions: 0o100644 } },
        { filename: ascii('b'), longname: ascii(''), attributes: {} },
      ],
    },
    bytes: packet(
      '00 00 00 28',
      '68',
      '00 00 00 02  count',
      '00 00 00 01  length',
      'fe  a name that is not UTF-8',
      '00 00 00 01  length',
      '"l"',
      '00 00 00 04  PERMISSIONS',
      '00 00 81 a4  a regular file, 0644',
      '00 00 00 01  length',
      '"b"',
      '00 00 00 00  no longname',
      '00 00 00 00  no attributes',
    ),
  },
  {
    name: 'ATTRS',
    reply: { type: c.SSH_FXP_ATTRS, attrs: { size: 0x1_0000_0000, uid: 1, gid: 2, atime: 3, mtime: 4 } },
    bytes: packet(
      '00 00 00 21',
      '69',
      '00 00 00 0b  SIZE | UIDGID | ACMODTIME',
      '00 00 00 01 00 00 00 00  4 GiB',
      '00 00 00 01  uid',
      '00 00 00 02  gid',
      '00 00 00 03  atime',
      '00 00 00 04  mtime',
    ),
  },
];
