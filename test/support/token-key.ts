/**
 * A key whose private half is on a security token, which nobody has: in the file are its public half and what the
 * token would be asked with (PROTOCOL.u2f and PROTOCOL.key of OpenSSH).
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { uint32, wireStrings } from '../../src/ssh/wire.js';

const TYPE = 'sk-ssh-ed25519@openssh.com';
const APPLICATION = 'ssh:';
/** The token asks for a touch. */
const USER_PRESENCE = 1;

/** Writes it, and its public half beside it; answers `path`. */
export async function makeTokenKey(path: string): Promise<string> {
  const { publicKey } = generateKeyPairSync('ed25519');
  const point = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const blob = wireStrings(TYPE, point, APPLICATION);
  const check = uint32(1);
  const plain = Buffer.concat([
    check,
    check,
    blob,
    Buffer.of(USER_PRESENCE),
    wireStrings(randomBytes(64), '', 'token'),
  ]);
  const padding = Buffer.from(Array.from({ length: (8 - (plain.length % 8)) % 8 }, (_, index) => index + 1));
  const data = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    wireStrings('none', 'none', ''),
    uint32(1),
    wireStrings(blob, Buffer.concat([plain, padding])),
  ]);
  const lines = data.toString('base64').match(/.{1,70}/g) ?? [];
  const text = ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''];
  await writeFile(path, text.join('\n'), { mode: 0o600 });
  await writeFile(`${path}.pub`, `${TYPE} ${blob.toString('base64')} token\n`);
  return path;
}
