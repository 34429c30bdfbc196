/**
 * Where programs that ssh starts ask us: a socket in a private directory, for as long as one login takes. Beside it
 * stands the program that ssh starts for each of its questions. What is asked and answered passes through neither
 * arguments nor environments, and is never written to a file.
 */
import { rmSync } from 'node:fs';
import { lstat, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logger } from '../../base/log.js';

const log = logger('ssh');

const PREFIX = 'remora-ask-';
/** In the directory. */
const SOCKET = 'socket';

/** Longest question, in characters; ssh's are below 1024. */
const LONGEST = 16_384;

export interface Question {
  readonly text: string;
  /** Of ssh's: 'confirm' for yes or no, 'none' for what needs no answer, else empty. */
  readonly hint: string;
}

/** The answer, or null for none. */
export type Answerer = (question: Question) => Promise<string | null>;

export class Desk {
  readonly socket: string;
  /** What ssh finds the program for its questions by. */
  readonly askpass: Readonly<Record<string, string>>;
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
    this.socket = join(directory, SOCKET);
    // Before SSH_ASKPASS_REQUIRE came to be (8.4), ssh asked this way only where there is a DISPLAY and no terminal.
    this.askpass = {
      SSH_ASKPASS: program,
      SSH_ASKPASS_REQUIRE: 'force',
      DISPLAY: process.env.DISPLAY ?? ':0',
    };
    // A mount that ends does not wait for a login that is under way.
    process.once('exit', this.#remove);
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket, answer));
  }

  /** @param parent a directory in which programs may be run */
  static async open(answer: Answerer, parent = tmpdir()): Promise<Desk> {
    await removeDeserted(parent);
    const directory = await mkdtemp(join(parent, PREFIX));
    const program = join(directory, 'ask');
    const helper = JSON.stringify(new URL('./askpass-program.js', import.meta.url).href);
    await writeFile(program, `#!${process.execPath}\nimport(${helper});\n`, { mode: 0o700 });
    const desk = new Desk(directory, program, answer);
    await new Promise<void>((resolve, reject) => {
      desk.#server.once('error', reject);
      desk.#server.listen(desk.socket, resolve);
    });
    return desk;
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

async function questionOf(text: string): Promise<Question> {
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

/** Asks at the desk of `socket`; null where nobody answers. */
export function askDesk(socket: string, question: Question): Promise<string | null> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    let answer = '';
    connection.setEncoding('utf8');
    connection.write(`${JSON.stringify(question)}\n`);
    connection.on('data', (chunk: string) => {
      answer += chunk;
    });
    connection.on('error', () => resolve(null));
    connection.on('end', () => resolve(answer.endsWith('\n') ? answer.slice(0, -1) : null));
  });
}

/**
 * What killed processes of this user have left behind: a socket that refuses is nobody's any more. Another user's
 * directory is left alone, since what is in it could become something else while it is removed.
 */
async function removeDeserted(parent: string): Promise<void> {
  const names = (await readdir(parent).catch(() => [])).filter((name) => name.startsWith(PREFIX));
  const remove = async (directory: string) => {
    const stats = await lstat(directory);
    const isOurs = stats.isDirectory() && stats.uid === process.getuid?.();
    if (isOurs && (await isRefused(join(directory, SOCKET)))) await rm(directory, { recursive: true });
  };
  await Promise.all(
    names.map((name) => remove(join(parent, name)).catch((error: unknown) => log('%o', error))),
  );
}

function isRefused(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket, () => {
      connection.destroy();
      resolve(false);
    });
    connection.on('error', (error) => resolve('code' in error && error.code === 'ECONNREFUSED'));
  });
}
