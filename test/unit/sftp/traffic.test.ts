/** What is counted of a session: bytes both ways, requests by name, and the round trip. */
import { describe, expect, it } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import {
  POSIX_RENAME,
  SSH_FXP_EXTENDED,
  SSH_FXP_LSTAT,
  SSH_FXP_READDIR,
} from '../../../src/sftp/constants.js';
import { Traffic } from '../../../src/sftp/traffic.js';

const lstat = { type: SSH_FXP_LSTAT, path: ascii('/a') } as const;

function setup() {
  const clock = { time: 1000, now: () => 0, monotonic: () => clock.time };
  const traffic = new Traffic(clock);
  /** A request whose answer takes so many milliseconds. */
  const ask = (request: Parameters<Traffic['asked']>[0], milliseconds: number, isAlone = true) => {
    const sent = traffic.asked(request, isAlone);
    clock.time += milliseconds;
    traffic.answered(sent);
  };
  return { clock, traffic, ask };
}

describe('traffic', () => {
  it('counts requests by the names of the specification, and extensions by their own', () => {
    const { traffic, ask } = setup();
    ask(lstat, 3);
    ask(lstat, 5);
    const names = { oldpath: ascii('/a'), newpath: ascii('/b') };
    ask({ type: SSH_FXP_EXTENDED, extension: POSIX_RENAME, ...names }, 1);
    expect(traffic.requests()).toMatchObject({
      LSTAT: { count: 2, milliseconds: 8 },
      [POSIX_RENAME]: { count: 1 },
    });
  });

  it('takes the quickest small answer for the round trip, for a minute', () => {
    const { clock, traffic, ask } = setup();
    expect(traffic.status().roundTrip).toBe(null);
    ask(lstat, 20);
    ask(lstat, 25);
    expect(traffic.status().roundTrip).toBe(20);
    ask(lstat, 5, false);
    ask({ type: SSH_FXP_READDIR, handle: ascii('h') as never }, 5);
    expect(traffic.status().roundTrip, 'neither behind others, nor for data').toBe(20);
    clock.time += 61_000;
    ask(lstat, 40);
    expect(traffic.status().roundTrip, 'the route is longer now').toBe(40);
  });

  it('adds up bytes, and tells how many pass in a second', () => {
    const { clock, traffic } = setup();
    for (let second = 0; second < 4; second += 1) {
      traffic.received(3000);
      traffic.sent(30);
      clock.time += 1000;
    }
    expect(traffic.status()).toMatchObject({ received: 12_000, sent: 120, receiveRate: 3000, sendRate: 30 });
  });
});
