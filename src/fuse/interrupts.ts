/**
 * FUSE_INTERRUPT says that a signal is pending for the thread that waits, not that the thread will die of it.
 * A fatal signal is answered with EINTR at once; one the program handles (the alarm of a progress meter, the
 * preemption signal of a Go program) gets a grace time, so that it does not break a call about to succeed.
 */
import { readFileSync } from 'node:fs';
import { O_TRUNC } from '../base/mode.js';
import { OPCODE, SIZEOF_IN_HEADER } from './protocol/constants.js';

/** How long a request goes on under a signal that the program handles before that is decided, in milliseconds. */
export const INTERRUPT_GRACE_MS = 1000;

/** Signal sets of one thread as in /proc/PID/status; bit n - 1 stands for signal n. */
export interface ThreadSignals {
  readonly pending: bigint;
  readonly blocked: bigint;
  readonly ignored: bigint;
  readonly caught: bigint;
}

const bit = (signal: number): bigint => 1n << BigInt(signal - 1);

/** Not fatal by default (signal(7)): SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH. */
const HARMLESS = [17, 18, 19, 20, 21, 22, 23, 28].map(bit).reduce((set, one) => set | one);
const SIGKILL = bit(9);

/** 'now' when a pending signal will end the thread; 'grace' when it is handled, or nothing is known. */
export function interruptVerdict(signals: ThreadSignals | null): 'now' | 'grace' {
  if (signals === null) return 'grace';
  if ((signals.pending & SIGKILL) !== 0n) return 'now';
  const survives = signals.blocked | signals.ignored | signals.caught | HARMLESS;
  return (signals.pending & ~survives) !== 0n ? 'now' : 'grace';
}

/**
 * Whether a program that goes on may be told EINTR. `always`: the call changes nothing, so it will be made again.
 * `when stalled`: giving it up loses nothing, but a program that did not expect it breaks, so only while the server
 * does not answer. `never`: the change would be made all the same, sooner or later, and once more when the program
 * calls again.
 */
export type Interruptibility = 'always' | 'when stalled' | 'never';

/** For one whole request of that opcode. */
export function interruptibility(opcode: number, request: Buffer): Interruptibility {
  if (REPEATABLE.has(opcode)) return 'always';
  // What was written stays to be sent; that it has arrived is what EINTR does not say.
  if (opcode === OPCODE.FLUSH) return 'when stalled';
  // One that waits for room has written nothing yet, and will not when nobody waits for it any more.
  if (opcode === OPCODE.WRITE) return 'when stalled';
  if (opcode !== OPCODE.OPEN || request.length < SIZEOF_IN_HEADER + 4) return 'never';
  return (request.readUInt32LE(SIZEOF_IN_HEADER) & O_TRUNC) === 0 ? 'when stalled' : 'never';
}

/** Requests that make a name. */
const MAKING: ReadonlySet<number> = new Set([
  OPCODE.MKDIR,
  OPCODE.MKNOD,
  OPCODE.SYMLINK,
  OPCODE.LINK,
  OPCODE.CREATE,
]);

/**
 * What the kernel is told when a program that hears nothing of it ends before its call is answered. The name may come to
 * be there all the same, while the kernel believes that it is not: of an EEXIST a recent one concludes that it was
 * mistaken, before anybody else gets at the directory. A notification may come too late for that.
 */
export function errnoWhenStopped(opcode: number): 'EINTR' | 'EEXIST' {
  return MAKING.has(opcode) ? 'EEXIST' : 'EINTR';
}

const REPEATABLE: ReadonlySet<number> = new Set([
  OPCODE.LOOKUP,
  OPCODE.GETATTR,
  OPCODE.READLINK,
  OPCODE.READ,
  OPCODE.STATFS,
  OPCODE.FSYNC,
  OPCODE.OPENDIR,
  OPCODE.READDIR,
  OPCODE.READDIRPLUS,
  OPCODE.FSYNCDIR,
  OPCODE.ACCESS,
  OPCODE.LSEEK,
]);

/** The signal sets in the text of /proc/PID/status; null when a line is missing or not a number. */
export function parseThreadSignals(status: string): ThreadSignals | null {
  const set = (field: string): bigint | null => {
    const match = new RegExp(`^${field}:\\s*([0-9a-f]{1,32})$`, 'm').exec(status);
    return match === null ? null : BigInt(`0x${match[1]}`);
  };
  const thread = set('SigPnd');
  const shared = set('ShdPnd');
  const blocked = set('SigBlk');
  const ignored = set('SigIgn');
  const caught = set('SigCgt');
  if (thread === null || shared === null || blocked === null || ignored === null || caught === null)
    return null;
  return { pending: thread | shared, blocked, ignored, caught };
}

/** PF_EXITING and PF_SIGNALED of the kernel's task flags. */
const EXITING = 0x4;
const SIGNALED = 0x400;

/** A thread that ends hears of no error any more; one that ends because of a signal waits for nothing either. */
export type Fate = 'lives' | 'ends' | 'killed';

/** What the text of /proc/PID/stat says of a thread. */
export function parseFate(stat: string): Fate {
  // proc(5): the flags are the seventh field after the parenthesised name, which may hold anything.
  const flags = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6]);
  if ((flags & EXITING) === 0) return 'lives';
  return (flags & SIGNALED) === 0 ? 'ends' : 'killed';
}

/** A thread that is gone, or cannot be looked at, has ended. */
export function readFate(pid: number): Fate {
  try {
    return parseFate(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return 'ends';
  }
}

/** Null when the thread cannot be looked at (another pid namespace, hidepid). */
export function readThreadSignals(pid: number): ThreadSignals | null {
  try {
    return parseThreadSignals(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return null;
  }
}
