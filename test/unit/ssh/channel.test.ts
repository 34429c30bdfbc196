import { Duplex } from 'node:stream';
import fc from 'fast-check';
import type { ClientChannel } from 'ssh2';
import { expect, test } from 'vitest';
import { printable } from '../../../src/base/printable.js';
import { SftpClient } from '../../../src/sftp/client.js';
import { ChannelStream, coalesce } from '../../../src/ssh/channel.js';
import { PACKET } from '../../../src/ssh/outgoing.js';

test('batches keep every byte in order, and fill every packet but the last', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 100_000 }), { maxLength: 20 }), (sizes) => {
      const chunks = sizes.map((size, i) => Buffer.alloc(size, i));
      const batches = coalesce(chunks);
      expect(Buffer.concat(batches).equals(Buffer.concat(chunks))).toBe(true);
      for (const batch of batches.slice(0, -1)) expect(batch.length % PACKET).toBe(0);
      for (const batch of batches) expect(batch.length).toBeGreaterThan(0);
    }),
  );
});

test('of a large chunk only what shares a packet with another is copied', () => {
  const large = Buffer.alloc(255 * 1024);
  const [joined, ...rest] = coalesce([Buffer.from('header'), large]);
  expect(joined).toHaveLength(PACKET);
  expect(rest.every((batch) => batch.buffer === large.buffer)).toBe(true);
  const header = Buffer.alloc(PACKET - 1);
  expect(coalesce([header])[0]?.buffer).toBe(header.buffer);
});

test('attack: text that would move the cursor, set the title or reverse the line', () => {
  expect(printable('a\x1b[2J\x9b1m\u202eb\r\nc')).toBe('a?[2J?1m?b??c');
  expect(printable('a\r\nb\tc', true)).toBe('a\nb\tc');
  expect(printable('x'.repeat(10_000)).length).toBe(4097);
});

/** A channel on which the server has said something and closed, with as much of ssh2 as is looked at. */
function closedChannel(said: string, read: (channel: Duplex) => void): ClientChannel {
  const channel = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  channel.push(said);
  channel.end();
  read(channel);
  const protocol = { ping: () => undefined, channelWindowAdjust: () => undefined };
  const parts = {
    incoming: { window: 1 },
    outgoing: { id: 0, state: 'open' },
    _client: { _protocol: protocol },
  };
  return Object.assign(channel, parts, { close: () => undefined }) as unknown as ClientChannel;
}

test.each([
  ['is going to be read', () => undefined],
  ['was told to wait', (channel: Duplex) => channel.pause()],
])('what the server said before it closed the channel is heard, where that %s', async (_how, read) => {
  const stream = new ChannelStream(closedChannel('Welcome to the machine\n', read), () => () => undefined);
  await expect(SftpClient.connect(stream)).rejects.toThrow('"Welcome to the machine"');
});
