/** The commands' side of the control socket: one request, its reply, and questions for a person in between. */
import { connect } from 'node:net';
import {
  type ControlAnswers,
  type ControlRequest,
  onLines,
  REPLY_MAX,
  type Reply,
} from './control-protocol.js';
import { EXIT, type ExitName } from './exit.js';
import type { Answer, ToPerson } from './ipc.js';

/** Why a daemon gave no answer. `dead`: nobody listens on its socket any more. */
export class ControlError extends Error {
  readonly kind: 'dead' | 'silent' | 'refused';
  /** What the daemon says of a refusal. */
  readonly exit: ExitName;

  constructor(kind: 'dead' | 'silent' | 'refused', message: string, exit: ExitName = 'failure') {
    super(message);
    this.name = 'ControlError';
    this.kind = kind;
    this.exit = exit;
  }
}

/** Who is asked, or told something, while the daemon works on a request. */
export type Listener = (message: ToPerson) => Promise<Answer | null>;

export interface AskOptions {
  /** Milliseconds for the whole exchange; without it, as long as the daemon takes. */
  readonly timeout?: number;
  readonly listener?: Listener;
}

function exitOf(name: unknown): ExitName {
  const known = Object.keys(EXIT).find((exit): exit is ExitName => exit === name);
  return known ?? 'failure';
}

/** Asks the daemon behind the socket `path`. Rejects with a ControlError. */
export function askControl<Op extends ControlRequest['op']>(
  path: string,
  request: Extract<ControlRequest, { op: Op }>,
  { timeout, listener }: AskOptions,
): Promise<ControlAnswers[Op]> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const fail = (kind: ControlError['kind'], message: string, exit?: ExitName): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new ControlError(kind, message, exit));
    };
    const timer =
      timeout === undefined
        ? undefined
        : setTimeout(() => fail('silent', 'the serving process does not answer'), timeout);
    const send = (message: ControlRequest | Answer): void => {
      socket.write(`${JSON.stringify(message)}\n`);
    };
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const dead = error.code === 'ECONNREFUSED' || error.code === 'ENOENT';
      fail(dead ? 'dead' : 'silent', error.message);
    });
    socket.on('close', () => fail('silent', 'the serving process hung up'));
    socket.on('connect', () => send(request));
    onLines(socket, REPLY_MAX, (line) => {
      let message: Reply<ControlAnswers[Op]> | ToPerson;
      try {
        message = JSON.parse(line) as Reply<ControlAnswers[Op]> | ToPerson;
      } catch {
        return fail('silent', 'the answer is not JSON');
      }
      if ('type' in message) {
        void listener?.(message).then((answer) => {
          if (answer !== null && socket.writable) send(answer);
        });
        return;
      }
      if (!message.ok) return fail('refused', message.error, exitOf(message.exit));
      clearTimeout(timer);
      socket.destroy();
      resolve(message.value);
    });
  });
}
