/**
 * Golden bytes written as rows: hexadecimal pairs and "quoted latin1 text", then two spaces and what they
 * are: `wire('00 00 00 05  length', '01  SSH_FXP_INIT', '00 00 00 03  version')`.
 */
export function wire(...rows: readonly string[]): Buffer {
  return Buffer.concat(rows.map(rowBytes));
}

function rowBytes(row: string): Buffer {
  const quoted = /^"([^"]*)"/.exec(row);
  if (quoted) return Buffer.from(quoted[1] ?? '', 'latin1');
  const hex = (row.split('  ')[0] ?? '').replaceAll(' ', '');
  if (!/^([0-9a-f]{2})*$/.test(hex)) throw new Error(`not a row of bytes: ${row}`);
  return Buffer.from(hex, 'hex');
}

/** Splits off the length field, which must be right. */
export function bodyOf(packet: Buffer): Buffer {
  const body = packet.subarray(4);
  if (packet.readUInt32BE(0) !== body.length) throw new Error('the length field is wrong');
  return body;
}

/** Every proper beginning of a packet's body, the empty one too. */
export function truncations(body: Buffer): Buffer[] {
  return Array.from({ length: body.length }, (_, length) => body.subarray(0, length));
}
