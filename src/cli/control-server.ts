/**
 * The serving process's side of the control socket. Lines are bounded and malformed ones answered with an error,
 * because a mount must not fall to a curious `nc`.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Unsent } from '../fs/open-file.js';
import type { Prompter } from '../ssh/settings.js';
import {
  type ControlRequest,
  type MountDetails,
  type MountStatus,
  onLines,
  parseAnswer,
  parseRequest,
  REQUEST_MAX,
  type Reply,
} from './control-protocol.js';
import { failureOf } from './exit.js';
import type { ToPerson } from './ipc.js';
import { RemotePrompter } from './prompter.js';

export interface ControlHandler {
  status(): MountStatus;
  inspect(): MountDetails;
  unsent(): readonly Unsent[];
  flush(): Promise<readonly Unsent[]>;
  refresh(path: string): Promise<void>;
  /** Connects again now; `prompter` is null when nobody is there to be asked. Rejects with the sentence why not. */
  reconnect(prompter: Prompter | null): Promise<void>;
  /** Resolves when the mount has ended. */
  stop(force: boolean): Promise<readonly Unsent[]>;
}

function run(handler: ControlHandler, request: ControlRequest, prompter: Prompter): unknown {
  switch (request.op) {
    case 'status':
      return handler.status();
    case 'inspect':
      return handler.inspect();
    case 'unsent':
      return handler.unsent();
    case 'flush':
      return handler.flush();
    case 'refresh':
      return handler.refresh(request.path);
    case 'reconnect':
      return handler.reconnect(request.interactive ? prompter : null);
    case 'stop':
      return handler.stop(request.force);
  }
}

async function answer(handler: ControlHandler, line: string, prompter: Prompter): Promise<Reply<unknown>> {
  const request = parseRequest(line);
  if (request === null) return { ok: false, error: 'unknown request', exit: 'failure' };
  try {
    return { ok: true, value: (await run(handler, request, prompter)) ?? null };
  } catch (error) {
    const { message, exit } = failureOf(error);
    return { ok: false, error: message, exit };
  }
}

export class ControlServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens on `path`, which must not exist; the socket is removed again by `close`. */
  static async listen(path: string, handler: ControlHandler): Promise<ControlServer> {
    const server = createServer();
    const control = new ControlServer(server);
    server.on('connection', (socket) => control.#serve(socket, handler));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    server.on('error', () => {});
    return control;
  }

  /** What was answered before is still sent, and so is what becomes known now: that the mount has ended. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroySoon();
    await closed;
  }

  #serve(socket: Socket, handler: ControlHandler): void {
    const send = (message: Reply<unknown> | ToPerson): void => {
      if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
    };
    const prompter = new RemotePrompter(true, send);
    this.#sockets.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      prompter.abandon();
    });
    socket.on('error', () => socket.destroy());
    onLines(socket, REQUEST_MAX, async (line) => {
      const answered = parseAnswer(line);
      if (answered === null) send(await answer(handler, line, prompter));
      else prompter.answer(answered.id, answered.text);
    });
  }
}
