/** What a user certificate of OpenSSH says of itself (PROTOCOL.certkeys of OpenSSH). */
import { keyTypeOf } from '../../ssh/known-hosts.js';
import { WireReader } from '../../ssh/wire.js';

export interface Certificate {
  /** Users that it is for; none means any. */
  readonly principals: readonly string[];
  /** Milliseconds since the epoch; for ever is the last day of `Date`. */
  readonly validAfter: number;
  readonly validBefore: number;
}

/** How many strings stand between the type and the serial: a nonce and the public key's parts. */
const PARTS: Readonly<Record<string, number>> = {
  'ssh-ed25519-cert-v01@openssh.com': 2,
  'ssh-rsa-cert-v01@openssh.com': 3,
  'ecdsa-sha2-nistp256-cert-v01@openssh.com': 3,
  'ecdsa-sha2-nistp384-cert-v01@openssh.com': 3,
  'ecdsa-sha2-nistp521-cert-v01@openssh.com': 3,
  'sk-ssh-ed25519-cert-v01@openssh.com': 3,
  'sk-ecdsa-sha2-nistp256-cert-v01@openssh.com': 4,
};

const U64 = 8;
const LAST_DAY = 8.64e15;

/** Null for what is no certificate. */
export function readCertificate(blob: Buffer): Certificate | null {
  const parts = PARTS[keyTypeOf(blob) ?? ''];
  if (parts === undefined) return null;
  const reader = new WireReader(blob);
  // Serial, and whether it is a user's or a host's; then the name that it was given.
  if (reader.strings(1 + parts) === null || reader.bytes(U64) === null || reader.uint32() === null)
    return null;
  const [, principals] = reader.strings(2) ?? [];
  const [after, before] = [reader.bytes(U64), reader.bytes(U64)];
  if (principals === undefined || after === null || before === null) return null;
  const names = new WireReader(principals);
  const listed: string[] = [];
  for (let name = names.string(); name !== null; name = names.string()) listed.push(name.toString('utf8'));
  return { principals: listed, validAfter: milliseconds(after), validBefore: milliseconds(before) };
}

function milliseconds(seconds: Buffer): number {
  return Math.min(Number(seconds.readBigUInt64BE()) * 1000, LAST_DAY);
}

/** Why it lets `user` in nowhere at the time `now`; null where nothing of that shows here. */
export function certificateFault(
  { principals, validAfter, validBefore }: Certificate,
  user: string,
  now: number,
): string | null {
  const day = (time: number) => new Date(time).toISOString().slice(0, 16).replace('T', ' ');
  if (now >= validBefore) return `it was valid until ${day(validBefore)} UTC`;
  if (now < validAfter) return `it is not valid before ${day(validAfter)} UTC`;
  if (principals.length > 0 && !principals.includes(user)) {
    return `it is for ${principals.join(', ')}, not for ${user}`;
  }
  return null;
}
