/** The replies that most requests end with. */
import { type ByteString, encodeText } from '../base/bytes.js';
import {
  SSH_FX_BAD_MESSAGE,
  SSH_FX_EOF,
  SSH_FX_NO_SUCH_FILE,
  SSH_FX_OK,
  SSH_FX_OP_UNSUPPORTED,
  SSH_FX_PERMISSION_DENIED,
  SSH_FXP_NAME,
  SSH_FXP_STATUS,
} from '../sftp/constants.js';
import type { Reply } from '../sftp/replies.js';

const TEXT: ReadonlyMap<number, string> = new Map([
  [SSH_FX_OK, 'ok'],
  [SSH_FX_EOF, 'end of file'],
  [SSH_FX_NO_SUCH_FILE, 'no such file'],
  [SSH_FX_PERMISSION_DENIED, 'permission denied'],
  [SSH_FX_BAD_MESSAGE, 'bad message'],
  [SSH_FX_OP_UNSUPPORTED, 'operation unsupported'],
]);

export function status(code: number, message: string = TEXT.get(code) ?? 'failure'): Reply {
  return { type: SSH_FXP_STATUS, code, message: encodeText(message) };
}

/** OK once `work` is done. */
export async function done(work: Promise<void>): Promise<Reply> {
  await work;
  return status(SSH_FX_OK);
}

/** A NAME reply with one name, as REALPATH, READLINK and their like answer. */
export async function name(found: ByteString | Promise<ByteString>): Promise<Reply> {
  const filename = await found;
  return { type: SSH_FXP_NAME, names: [{ filename, longname: filename, attributes: {} }] };
}
