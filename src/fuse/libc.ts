/**
 * The functions of the C library that Node lacks, called through koffi. Everything that may wait runs
 * in the thread pool; what is called on the event loop cannot block (a socket pair; a send, a receive or
 * a read that does not wait). Every buffer passed is held by the caller until the call has returned.
 */
import { closeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { koffi } from './koffi.js';

/** A failed call, with the errno's name as `code`. */
export class LibcError extends Error {
  readonly code: string;

  constructor(call: string, errno: number) {
    const code = getSystemErrorName(-errno);
    super(`${call}: ${code}`);
    this.name = 'LibcError';
    this.code = code;
  }
}

type Async<Arguments extends unknown[]> = {
  async(...args: [...Arguments, (error: Error | null, result: number) => void]): void;
};

/** A function of the C library, which is in the process already, whichever one it is; bound on first use. */
function lazily<F>(declaration: string): () => F {
  let bound: F | null = null;
  return () => {
    bound ??= koffi().load(null).func(declaration) as F;
    return bound;
  };
}

const libc = {
  mount: lazily<Async<[Buffer, Buffer, Buffer, number, Buffer]>>(
    'int mount(const uint8_t *source, const uint8_t *target, const uint8_t *type, unsigned long flags, const uint8_t *data)',
  ),
  socket: lazily<(domain: number, type: number, protocol: number) => number>(
    'int socket(int domain, int type, int protocol)',
  ),
  sendto: lazily<
    (fd: number, message: Buffer, length: number, flags: number, address: Buffer, size: number) => number
  >(
    'long sendto(int fd, const uint8_t *message, size_t length, int flags, const uint8_t *address, uint32_t address_length)',
  ),
  setsid: lazily<() => number>('int setsid()'),
  umount2: lazily<Async<[Buffer, number]>>('int umount2(const uint8_t *target, int flags)'),
  socketpair: lazily<(domain: number, type: number, protocol: number, pair: Int32Array) => number>(
    'int socketpair(int domain, int type, int protocol, _Out_ int *pair)',
  ),
  recvmsg: lazily<(fd: number, message: Buffer, flags: number) => number>(
    'long recvmsg(int fd, uint8_t *message, int flags)',
  ),
  read: lazily<(fd: number, buffer: Buffer, length: number) => number>(
    'long read(int fd, uint8_t *buffer, size_t length)',
  ),
  flock: lazily<(fd: number, operation: number) => number>('int flock(int fd, int operation)'),
  fcntl: lazily<(fd: number, command: number, type: 'int', value: number) => number>(
    'int fcntl(int fd, int command, ...)',
  ),
};

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/** umount2(2) flags. */
export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;

/** NUL-terminated; a NUL inside would cut the text short unseen. */
function cstring(text: string): Buffer {
  if (text.includes('\0')) throw new LibcError('mount', 22);
  return Buffer.from(`${text}\0`, 'utf8');
}

/** Runs one call in the thread pool; answers the buffers it worked on, which keeps them alive until then. */
function inPool<Held extends readonly Buffer[]>(
  call: string,
  held: Held,
  start: (held: Held, done: (error: Error | null, result: number) => void) => void,
): Promise<Held> {
  return new Promise((resolve, reject) => {
    start(held, (error, result) => {
      // koffi restores the errno of the call in the thread that runs this callback.
      const errno = koffi().errno();
      if (error !== null) reject(error);
      else if (result !== 0) reject(new LibcError(call, errno));
      else resolve(held);
    });
  });
}

/** mount(2). */
export async function mount(
  source: string,
  target: string,
  type: string,
  flags: number,
  data: string,
): Promise<void> {
  const texts = [cstring(source), cstring(target), cstring(type), cstring(data)] as const;
  await inPool('mount', texts, ([from, to, kind, more], done) =>
    libc.mount().async(from, to, kind, flags, more, done),
  );
}

/** umount2(2). */
export async function umount2(target: string, flags: number): Promise<void> {
  await inPool('umount2', [cstring(target)] as const, ([path], done) =>
    libc.umount2().async(path, flags, done),
  );
}

/** Two connected stream sockets, closed on exec. */
export function socketPair(): readonly [number, number] {
  const pair = new Int32Array(2);
  if (libc.socketpair()(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) !== 0) {
    throw new LibcError('socketpair', koffi().errno());
  }
  return [pair[0] ?? -1, pair[1] ?? -1];
}

/**
 * Sends a datagram to the unix socket whose name is `name` (the bytes of `sun_path`, up to 108: unix(7)), without
 * waiting. Throws a LibcError: EAGAIN when its queue is full.
 */
export function sendDatagram(name: Buffer, message: Buffer): void {
  const address = Buffer.alloc(2 + name.length);
  address.writeUInt16LE(AF_UNIX);
  name.copy(address, 2);
  const fd = libc.socket()(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new LibcError('socket', koffi().errno());
  try {
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const sent = libc.sendto()(fd, message, message.length, flags, address, address.length);
    if (sent < 0) throw new LibcError('sendto', koffi().errno());
  } finally {
    closeSync(fd);
  }
}

/** A running watch of a descriptor; `stop` before the descriptor is closed, and once. */
export interface Watch {
  stop(): void;
}

/**
 * Makes `fd` non-blocking and calls `onReadable` once in every turn of the event loop that finds it readable,
 * or failed, until `stop`: the loop's own epoll waits for it, no thread does. `fd` may be of any kind that poll(2)
 * knows. A failed one is told once.
 */
export function watchReadable(fd: number, onReadable: () => void): Watch {
  // koffi calls back outside of Node's callback scopes, where no promise would go on: an immediate of the same
  // turn is inside one.
  const handle = koffi().node.poll(fd, { readable: true }, () => setImmediate(onReadable));
  return { stop: () => handle.close() };
}

/** read(2) of a non-blocking descriptor: how many bytes came, or the errno as a negative number. Never throws. */
export function readNow(fd: number, buffer: Buffer): number {
  const length = libc.read()(fd, buffer, buffer.length);
  return length < 0 ? -koffi().errno() : length;
}

/** flock(2), exclusive, without waiting: false when somebody else holds the lock. It ends with the open file. */
export function tryLock(fd: number): boolean {
  if (libc.flock()(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const error = new LibcError('flock', koffi().errno());
  if (error.code === 'EAGAIN') return false;
  throw error;
}

/** Keeps an open descriptor from the programs that this process starts. */
export function closeOnExec(fd: number): void {
  if (libc.fcntl()(fd, F_SETFD, 'int', FD_CLOEXEC) !== 0) throw new LibcError('fcntl', koffi().errno());
}

/** setsid(2): away from the terminal and from the group of whoever started this process, unless it led one already. */
export function leaveSession(): void {
  libc.setsid()();
}

/** The descriptor in the control data of a received message (`struct cmsghdr`), or null. */
export function descriptorIn(control: Buffer): number | null {
  if (control.length < 20) return null;
  const length = Number(control.readBigUInt64LE(0));
  if (length < 20 || length > control.length) return null;
  if (control.readInt32LE(8) !== SOL_SOCKET || control.readInt32LE(12) !== SCM_RIGHTS) return null;
  return control.readInt32LE(16);
}

/**
 * One block for recvmsg(2), so that all of it lives as long as the call: `struct msghdr` of 64-bit Linux, the
 * `struct iovec` it points to, control data for exactly one descriptor (the kernel cuts off more), and a byte.
 */
const MSG_IOV = 16;
const MSG_CONTROL = 32;
const IOVEC = 56;
const CONTROL = 72;
const CONTROL_SIZE = 24;
const BYTE = 96;
const END = 104;

/**
 * A descriptor sent over a socket (recvmsg(2), SCM_RIGHTS), closed on exec. Never waits: null says
 * that none has come.
 */
export function receiveDescriptor(socket: number): number | null {
  const memory = Buffer.alloc(END);
  const address = BigInt(koffi().address(memory));
  memory.writeBigUInt64LE(address + BigInt(IOVEC), MSG_IOV);
  memory.writeBigUInt64LE(1n, MSG_IOV + 8);
  memory.writeBigUInt64LE(address + BigInt(CONTROL), MSG_CONTROL);
  memory.writeBigUInt64LE(BigInt(CONTROL_SIZE), MSG_CONTROL + 8);
  memory.writeBigUInt64LE(address + BigInt(BYTE), IOVEC);
  memory.writeBigUInt64LE(1n, IOVEC + 8);
  const received = Number(libc.recvmsg()(socket, memory, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  if (received < 0) {
    const error = new LibcError('recvmsg', koffi().errno());
    if (error.code === 'EAGAIN') return null;
    throw error;
  }
  const length = Math.min(Number(memory.readBigUInt64LE(MSG_CONTROL + 8)), CONTROL_SIZE);
  return received === 0 ? null : descriptorIn(memory.subarray(CONTROL, CONTROL + length));
}
