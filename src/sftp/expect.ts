/**
 * What a request expects of its reply. Each answers what the reply carries, or throws: `SftpStatusError` for
 * the server's refusal, `ProtocolError` for a reply that answers something else.
 */
import { type ByteString, decodeText } from '../base/bytes.js';
import type { SftpAttributes, SftpName } from './attributes.js';
import {
  SSH_FX_EOF,
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

/** For a reply that does not carry what was asked. */
export function refuse(reply: Reply): never {
  if (reply.type === SSH_FXP_STATUS && reply.code !== SSH_FX_OK) {
    throw new SftpStatusError(reply.code, decodeText(reply.message));
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

/** For a reply that must carry one name. */
export function nameOf(reply: Reply): ByteString {
  const [name, ...others] = namesOf(reply);
  if (name === undefined || others.length > 0) throw new ProtocolError('not one name in the reply');
  return name.filename;
}

export function extendedData(reply: Reply): Buffer {
  return reply.type === SSH_FXP_EXTENDED_REPLY ? reply.data : refuse(reply);
}
