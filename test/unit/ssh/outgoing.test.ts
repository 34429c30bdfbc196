import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Outgoing, PACKET } from '../../../src/ssh/outgoing.js';

const FULL = 9 + PACKET;
const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A connected socket, and what arrives at its other end. */
async function pair(): Promise<{ socket: Socket; received: Buffer[] }> {
  const received: Buffer[] = [];
  const server = createServer((far) => {
    far.on('data', (data: Buffer) => received.push(data));
    ends.push(() => far.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const socket = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1');
  ends.push(() => {
    socket.destroy();
    server.close();
  });
  await new Promise((resolve) => socket.once('connect', resolve));
  return { socket, received };
}

/** Packets of a header (7), a payload, and padding (numbered). */
function fakeCipher() {
  let allocated = 0;
  return {
    allocPacket(payload: number): Buffer {
      allocated += 1;
      const packet = Buffer.alloc(5 + payload + 4, 0);
      packet.fill(7, 0, 5);
      packet.fill(allocated, 5 + payload);
      return packet;
    },
    get allocated() {
      return allocated;
    },
  };
}

describe('what goes to the socket', () => {
  test('in one tick goes in one write, also what streams hold back for a tick', async () => {
    const { socket, received } = await pair();
    const writev = vi.spyOn(socket, '_writev');
    const write = vi.spyOn(socket, '_write');
    new Outgoing(socket);
    socket.write('a');
    socket.write(Buffer.from('b'));
    process.nextTick(() => socket.write('c'));
    expect(socket.writableLength).toBe(2);
    await vi.waitFor(() => expect(Buffer.concat(received).toString()).toBe('abc'));
    expect(writev).toHaveBeenCalledTimes(1);
    expect(write).not.toHaveBeenCalled();
  });

  test('reaches the other end when the socket is ended in the same tick', async () => {
    const { socket, received } = await pair();
    new Outgoing(socket);
    socket.write('last');
    socket.end('words');
    await vi.waitFor(() => expect(Buffer.concat(received).toString()).toBe('lastwords'));
  });

  test('can be waited for', async () => {
    const { socket } = await pair();
    new Outgoing(socket);
    await new Promise((resolve) => socket.write('x', resolve));
    await new Promise((resolve) => socket.write('x', 'latin1', resolve));
  });
});

describe('the memory of full packets', () => {
  test('is used again when it is sent, not before, with its header in place', async () => {
    const { socket } = await pair();
    const outgoing = new Outgoing(socket);
    const cipher = fakeCipher();
    outgoing.recycle(cipher);
    const one = cipher.allocPacket(FULL);
    const two = cipher.allocPacket(FULL);
    expect(two.buffer).not.toBe(one.buffer);
    one.fill(0xcc);
    const sent = new Promise((resolve) => socket.once('drain', resolve));
    socket.write(one);
    expect(cipher.allocPacket(FULL).buffer).not.toBe(one.buffer);
    await sent;
    const again = cipher.allocPacket(FULL);
    expect(again).toBe(one);
    expect(again.subarray(0, 5)).toEqual(Buffer.alloc(5, 7));
    expect(cipher.allocPacket(FULL).buffer).not.toBe(one.buffer);
  });

  test('other packets, and what is not a packet of the cipher, are left alone', async () => {
    const { socket } = await pair();
    const outgoing = new Outgoing(socket);
    const cipher = fakeCipher();
    outgoing.recycle(cipher);
    const before = cipher.allocated;
    for (const payload of [1, FULL - 1, FULL + 1]) {
      const packet = cipher.allocPacket(payload);
      await new Promise((resolve) => {
        socket.write(packet);
        socket.write('', resolve);
      });
      expect(cipher.allocPacket(payload)).not.toBe(packet);
    }
    expect(cipher.allocated).toBe(before + 6);
  });

  test('of one cipher does not go to the next', async () => {
    const { socket } = await pair();
    const outgoing = new Outgoing(socket);
    const [first, second] = [fakeCipher(), fakeCipher()];
    outgoing.recycle(first);
    const packet = first.allocPacket(FULL);
    outgoing.recycle(second);
    socket.write(packet);
    await new Promise((resolve) => socket.write('', resolve));
    expect(second.allocPacket(FULL)).not.toBe(packet);
    expect(first.allocPacket(FULL)).toBe(packet);
  });
});
