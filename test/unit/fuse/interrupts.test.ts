/** What the kernel tells of a thread that a signal waits for, and what that means for it. */
import { describe, expect, it } from 'vitest';
import {
  interruptVerdict,
  parseFate,
  parseThreadSignals,
  readFate,
  type ThreadSignals,
} from '../../../src/fuse/interrupts.js';

const signals = (...numbers: number[]) =>
  numbers.reduce((set, number) => set | (1n << BigInt(number - 1)), 0n);
const thread = (given: Partial<ThreadSignals>): ThreadSignals => ({
  pending: 0n,
  blocked: 0n,
  ignored: 0n,
  caught: 0n,
  ...given,
});
const [SIGINT, SIGKILL, SIGALRM, SIGTERM, SIGTSTP, SIGURG] = [2, 9, 14, 15, 20, 23];

describe('a thread on its way out', () => {
  it('shows by PF_EXITING and PF_SIGNALED, whatever its name', () => {
    const stat = (flags: number) => `12 (a) b (c) R 1 12 12 0 -1 ${flags} 171 0 0`;
    expect(parseFate(stat(4_194_304))).toBe('lives');
    expect(parseFate(stat(4_194_304 + 4))).toBe('ends');
    expect(parseFate(stat(4_194_304 + 4 + 1024))).toBe('killed');
    expect([readFate(process.pid), readFate(2 ** 30)]).toEqual(['lives', 'ends']);
  });
});

describe('verdict', () => {
  it.each([
    ['nothing known', null, 'grace'],
    ['nothing pending', thread({}), 'grace'],
    ['SIGKILL', thread({ pending: signals(SIGKILL) }), 'now'],
    ['SIGINT by default', thread({ pending: signals(SIGINT) }), 'now'],
    ['SIGINT with a handler', thread({ pending: signals(SIGINT), caught: signals(SIGINT) }), 'grace'],
    ['SIGINT ignored', thread({ pending: signals(SIGINT), ignored: signals(SIGINT) }), 'grace'],
    ['SIGTERM blocked', thread({ pending: signals(SIGTERM), blocked: signals(SIGTERM) }), 'grace'],
    [
      'the alarm of a progress meter',
      thread({ pending: signals(SIGALRM), caught: signals(SIGALRM) }),
      'grace',
    ],
    [
      'a caught one and a fatal one',
      thread({ pending: signals(SIGALRM, SIGTERM), caught: signals(SIGALRM) }),
      'now',
    ],
    ['a Go preemption signal without handler', thread({ pending: signals(SIGURG) }), 'grace'],
    ['Ctrl-Z', thread({ pending: signals(SIGTSTP) }), 'grace'],
  ] as const)('%s: %#', (_name, given, verdict) => {
    expect(interruptVerdict(given)).toBe(verdict);
  });
});

describe('/proc/PID/status', () => {
  const text = [
    'Name:\tSigPnd:\tffff',
    'SigPnd:\t0000000000000100',
    'ShdPnd:\t0000000000000002',
    'SigBlk:\t0000000000000004',
    'SigIgn:\t0000000000001000',
    'SigCgt:\t0000000180014a03',
  ].join('\n');

  it('is parsed, whatever the process calls itself', () => {
    expect(parseThreadSignals(text)).toEqual({
      pending: 0x102n,
      blocked: 4n,
      ignored: 0x1000n,
      caught: 0x180014a03n,
    });
  });

  it('tells nothing when a line is missing', () => {
    expect(parseThreadSignals(text.replace('ShdPnd', 'Other'))).toBeNull();
    expect(parseThreadSignals('')).toBeNull();
  });
});
