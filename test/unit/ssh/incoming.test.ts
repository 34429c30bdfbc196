import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import type { Client } from 'ssh2';
import { describe, expect, it } from 'vitest';
import { Incoming } from '../../../src/ssh/incoming.js';

const GCM = 'aes128-gcm@openssh.com';

/** A packet as it stands on the wire: length in clear, body, tag. */
function packet(body: number, fill: number): Buffer {
  const bytes = Buffer.alloc(4 + body + 16, fill);
  bytes.writeUInt32BE(body, 0);
  return bytes;
}

class Reader {
  readonly protocol = { _kexinit: undefined as unknown, _decipher: { _lenBytes: 0 } };
  readonly client = { _protocol: this.protocol } as unknown as Client;
  readonly socket = new EventEmitter();
  readonly incoming = new Incoming();
  /** What ssh2 was given, as it was then, and the memory itself. */
  readonly copies: Buffer[] = [];
  readonly views: Buffer[] = [];

  constructor(cipher = GCM) {
    this.incoming.attach(this.socket as unknown as Socket);
    this.incoming.encrypted(this.client, cipher);
    this.socket.on('data', (data: Buffer) => {
      this.copies.push(Buffer.from(data));
      this.views.push(data);
    });
  }

  /** Arrives as the kernel gives it, as much as there is room for at a time. */
  receive(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const room = this.incoming.onread.buffer();
      const length = bytes.copy(room, 0, at);
      at += length;
      expect(this.incoming.onread.callback(length)).toBe(true);
    }
  }

  get all(): Buffer {
    return Buffer.concat(this.copies);
  }
}

describe('what a socket reads', () => {
  it('is handed over in whole packets, however it was cut', () => {
    const cut = fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 30 });
    const bodies = fc.array(fc.integer({ min: 16, max: 33_000 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(bodies, cut, (sizes, cuts) => {
        const reader = new Reader();
        const packets = sizes.map((size, at) => packet(size, at));
        const stream = Buffer.concat(packets);
        for (let at = 0, n = 0; at < stream.length; n += 1) {
          const piece = stream.subarray(at, at + (cuts[n % cuts.length] ?? 1));
          reader.receive(piece);
          at += piece.length;
        }
        expect(reader.all.equals(stream)).toBe(true);
        const ends = new Set<number>();
        packets.reduce((end, each) => {
          ends.add(end + each.length);
          return end + each.length;
        }, 0);
        reader.copies.reduce((end, each) => {
          expect(ends.has(end + each.length)).toBe(true);
          return end + each.length;
        }, 0);
      }),
    );
  });

  it('lies in the same memory again and again', () => {
    const reader = new Reader();
    for (let n = 0; n < 50; n += 1) reader.receive(packet(30_000, n));
    expect(new Set(reader.views.map(({ buffer }) => buffer)).size).toBe(1);
  });

  it.each([
    ['before keys were exchanged', (reader: Reader) => reader.incoming.encrypted(reader.client, 'none')],
    [
      'with a cipher that hides its lengths',
      (reader: Reader) => reader.incoming.encrypted(reader.client, 'aes128-ctr'),
    ],
    ['during an exchange of keys', (reader: Reader) => (reader.protocol._kexinit = Buffer.alloc(1))],
    ['while a channel is not read', (reader: Reader) => void reader.incoming.keep()],
    [
      'to an ssh2 that looks different',
      (reader: Reader) => Reflect.deleteProperty(reader.protocol, '_decipher'),
    ],
  ])('is a copy of its own %s', (_when, prepare) => {
    const reader = new Reader();
    prepare(reader);
    const stream = Buffer.concat([packet(2000, 1), packet(3000, 2)]);
    for (let at = 0; at < stream.length; at += 700) reader.receive(stream.subarray(at, at + 700));
    expect(Buffer.concat(reader.views).equals(stream)).toBe(true);
    expect(reader.copies.length).toBe(Math.ceil(stream.length / 700));
  });

  it('is handed over whole from the next packet on, when one was cut before', () => {
    const reader = new Reader();
    const first = packet(5000, 1);
    const release = reader.incoming.keep();
    reader.receive(first.subarray(0, 100));
    reader.protocol._decipher._lenBytes = 4;
    release();
    reader.receive(first.subarray(100));
    expect(reader.copies).toHaveLength(2);
    reader.protocol._decipher._lenBytes = 0;
    const second = packet(5000, 2);
    reader.receive(second.subarray(0, 100));
    expect(reader.copies).toHaveLength(2);
    reader.receive(second.subarray(100));
    expect(reader.copies[2]?.equals(second)).toBe(true);
  });

  it('is left alone from the packet on that begins an exchange of keys', () => {
    const reader = new Reader();
    reader.socket.on('data', (data: Buffer) => {
      if (data[4] === 7) reader.protocol._kexinit = data;
    });
    const [kexinit, next] = [packet(1000, 7), packet(1000, 8)];
    reader.receive(Buffer.concat([kexinit, next.subarray(0, 10)]));
    reader.receive(next.subarray(10));
    for (let n = 0; n < 10; n += 1) reader.receive(packet(20_000, 9));
    expect(reader.views[0]?.equals(kexinit)).toBe(true);
    expect(reader.all.subarray(0, 2040).equals(Buffer.concat([kexinit, next]))).toBe(true);
  });

  it('is passed on as it is when it claims an impossible length, for ssh2 to refuse', () => {
    const reader = new Reader();
    const wrong = Buffer.alloc(100, 0xff);
    reader.receive(wrong);
    expect(reader.all.equals(wrong)).toBe(true);
  });
});
