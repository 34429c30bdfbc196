/**
 * What a request expects of its reply. Each answers what the reply carries, or throws: `SftpStatusError` for
 * the server's refusal, `ProtocolError` for a reply that answers something else.
 */
import { ascii, type ByteString, decodeText } from '../base/bytes.js';
import type { SftpAttributes, SftpName } from './attributes.js';
import {
  PATH_MAX,
  SSH_FX_EOF,
  SSH_FX_FAILURE,
  SSH_FX_OK,
  SSH_FXP_ATTRS,
  SSH_FXP_EXTENDED_REPLY,
  SSH_FXP_HANDLE,
  SSH_FXP_NAME,
  SSH_FXP_STATUS,
} from './constants.js';
import { ProtocolError, SftpStatusError } from './errors.js';
import type { SftpHandle } from './handle.js';
import type { Reply } from './replies.js';

/** Bytes of a server's message that are kept. */
const LONGEST_MESSAGE = 1024;

/** For a reply that does not carry what was asked. */
export function refuse(reply: Reply): never {
  if (reply.type === SSH_FXP_STATUS && reply.code !== SSH_FX_OK) {
    throw new SftpStatusError(reply.code, decodeText(ascii(reply.message.slice(0, LONGEST_MESSAGE))));
  }
  throw new ProtocolError(`a reply of type ${reply.type} that does not answer its request`);
}

export function done(reply: Reply): void {
  if (reply.type !== SSH_FXP_STATUS || reply.code !== SSH_FX_OK) refuse(reply);
}

export function isEof(reply: Reply): boolean {
  return reply.type === SSH_FXP_STATUS && reply.code === SSH_FX_EOF;
}

export function handleOf(reply: Reply): SftpHandle {
  return reply.type === SSH_FXP_HANDLE ? reply.handle : refuse(reply);
}

export function attributesOf(reply: Reply): SftpAttributes {
  return reply.type === SSH_FXP_ATTRS ? reply.attrs : refuse(reply);
}

export function namesOf(reply: Reply): readonly SftpName[] {
  return reply.type === SSH_FXP_NAME ? reply.names : refuse(reply);
}

/** For a reply that must carry one path: anything else in it is the failure of this request alone. */
export function pathOf(reply: Reply): ByteString {
  const names = namesOf(reply);
  const [name] = names;
  if (name === undefined || names.length > 1) throw unusable(`${names.length} paths where one was asked for`);
  const path = name.filename;
  if (path === '' || path.length >= PATH_MAX || path.includes('\0'))
    throw unusable('a path that no file can have');
  return path;
}

function unusable(what: string): SftpStatusError {
  return new SftpStatusError(SSH_FX_FAILURE, `the reply holds ${what}`);
}

export function extendedData(reply: Reply): Buffer {
  return reply.type === SSH_FXP_EXTENDED_REPLY ? reply.data : refuse(reply);
}
