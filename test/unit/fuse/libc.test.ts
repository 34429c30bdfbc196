import { closeSync, readdirSync, writeSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ERRNO } from '../../../src/base/errno.js';
import { readNow, sendDatagram, socketPair, watchReadable } from '../../../src/fuse/libc.js';
import { until } from '../../support/run.js';

/** A stream socket that is watched, and the end that writes to it. */
function watched(onReadable: (fd: number) => void) {
  const [near, far] = socketPair();
  const open = new Set([near, far]);
  const end = (fd: number) => {
    if (open.delete(fd)) closeSync(fd);
  };
  const watch = watchReadable(near, () => onReadable(near));
  onTestFinished(() => {
    watch.stop();
    end(near);
    end(far);
  });
  return { near, far, end };
}

describe('watching a descriptor', () => {
  it('tells what came, as long as some of it is unread, and then nothing', async () => {
    const taken: string[] = [];
    const buffer = Buffer.alloc(4);
    const { near, far } = watched((fd) => {
      taken.push(buffer.toString('latin1', 0, readNow(fd, buffer)));
    });
    expect(readNow(near, buffer)).toBe(-ERRNO.EAGAIN);
    writeSync(far, 'abcdefghij');
    await until('everything to be read', async () => taken.join('') === 'abcdefghij');
    expect(taken).toEqual(['abcd', 'efgh', 'ij']);
    expect(readNow(near, buffer)).toBe(-ERRNO.EAGAIN);
  });

  it('lets promises and timers go on in between', async () => {
    const order: string[] = [];
    const buffer = Buffer.alloc(1);
    const { far } = watched((fd) => {
      readNow(fd, buffer);
      order.push('read');
      void Promise.resolve().then(() => order.push('promise'));
      setTimeout(() => order.push('timer'), 0);
    });
    writeSync(far, 'x'.repeat(200));
    await until('everything to be read', async () => order.filter((step) => step === 'read').length === 200);
    expect(order.slice(0, 2)).toEqual(['read', 'promise']);
    expect(order.indexOf('timer')).toBeLessThan(order.lastIndexOf('read'));
  });

  it('tells the end', async () => {
    const lengths: number[] = [];
    const { far, end } = watched((fd) => {
      lengths.push(readNow(fd, Buffer.alloc(1)));
    });
    end(far);
    await until('the end', async () => lengths.includes(0));
  });
});

it('reading what is no open descriptor answers its errno', () => {
  expect(readNow(-1, Buffer.alloc(1))).toBe(-ERRNO.EBADF);
});

it('a datagram that nobody takes is an error with its name, and leaves no descriptor open', () => {
  const open = () => readdirSync('/proc/self/fd').length;
  const before = open();
  const send = (name: string) => () => sendDatagram(Buffer.from(name), Buffer.from('READY=1'));
  expect(send('/nowhere/at/all\0')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  expect(send('\0nobody listens here')).toThrow(expect.objectContaining({ code: 'ECONNREFUSED' }));
  expect(open()).toBe(before);
});
