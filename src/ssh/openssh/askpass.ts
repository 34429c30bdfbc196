/**
 * ssh's questions: a private directory with a program that ssh starts for each question, and a socket at which that
 * program waits for the answer. Neither the questions nor the answers pass through arguments or environments of ours.
 */
import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logger } from '../../base/log.js';

const log = logger('ssh');

/** Longest question, in characters; ssh's are below 1024. */
const LONGEST = 16_384;

export interface SshQuestion {
  readonly text: string;
  /** 'confirm' for yes or no, 'none' for what needs no answer, else empty. */
  readonly hint: string;
}

/** The answer, or null for none. */
export type Answerer = (question: SshQuestion) => Promise<string | null>;

export class Askpass {
  /** What ssh finds the program by. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #directory: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #remove = (): void => {
    try {
      rmSync(this.#directory, { recursive: true, force: true });
    } catch (error) {
      log('%o', error);
    }
  };

  private constructor(directory: string, program: string, answer: Answerer) {
    this.#directory = directory;
    // Before SSH_ASKPASS_REQUIRE came to be (8.4), ssh asked this way only where there is a DISPLAY and no terminal.
    this.environment = {
      SSH_ASKPASS: program,
      SSH_ASKPASS_REQUIRE: 'force',
      DISPLAY: process.env.DISPLAY ?? ':0',
    };
    // A mount that ends does not wait for a login that is under way.
    process.once('exit', this.#remove);
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket, answer));
  }

  /** @param parent a directory in which programs may be run */
  static async open(answer: Answerer, parent = tmpdir()): Promise<Askpass> {
    const directory = await mkdtemp(join(parent, 'remora-ask-'));
    const program = join(directory, 'ask');
    const helper = JSON.stringify(new URL('./askpass-program.js', import.meta.url).href);
    await writeFile(program, `#!${process.execPath}\nimport(${helper});\n`, { mode: 0o700 });
    const askpass = new Askpass(directory, program, answer);
    await new Promise<void>((resolve, reject) => {
      askpass.#server.once('error', reject);
      askpass.#server.listen(join(directory, 'socket'), resolve);
    });
    return askpass;
  }

  /** Never throws. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    process.off('exit', this.#remove);
    this.#remove();
  }

  #serve(socket: Socket, answer: Answerer): void {
    this.#sockets.add(socket);
    let text = '';
    socket.setEncoding('utf8');
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk: string) => {
      const isRead = text.includes('\n');
      text += chunk;
      if (text.length > LONGEST) socket.destroy();
      else if (!isRead && text.includes('\n')) void this.#answer(socket, text, answer);
    });
    socket.on('end', () => socket.destroy());
  }

  async #answer(socket: Socket, text: string, answer: Answerer): Promise<void> {
    const given = await questionOf(text)
      .then(answer)
      .catch(() => null);
    socket.end(given === null ? '' : `${given}\n`);
  }
}

async function questionOf(text: string): Promise<SshQuestion> {
  const value: unknown = JSON.parse(text);
  const isQuestion =
    typeof value === 'object' &&
    value !== null &&
    'text' in value &&
    typeof value.text === 'string' &&
    'hint' in value &&
    typeof value.hint === 'string';
  if (!isQuestion) throw new Error('not a question');
  return { text: String(value.text), hint: String(value.hint) };
}
