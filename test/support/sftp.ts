/** An SFTP client for tests: joined in memory to the embedded server, or to a server that the test plays. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { prepareService, type SftpServerOptions, SftpSession } from '../../src/demo/sftp-server.js';
import { SftpClient, type SftpClientOptions } from '../../src/sftp/client.js';
import { FrameSplitter } from '../../src/sftp/frames.js';
import { encodeVersion } from '../../src/sftp/handshake.js';
import { encodeReply, type Reply } from '../../src/sftp/replies.js';
import { decodeRequest, type Request, type UnknownRequest } from '../../src/sftp/requests.js';
import { duplexPair } from './duplex.js';

export interface Embedded {
  readonly client: SftpClient;
  /** The directory that the server serves as `/`. */
  readonly root: string;
  readonly stream: Duplex;
  end(): Promise<void>;
}

/** A client of the embedded server on a directory of its own, which `end` removes. */
export async function startEmbeddedPair(
  server: Omit<SftpServerOptions, 'root'> = {},
  options: SftpClientOptions = {},
  chunkSize?: number,
): Promise<Embedded> {
  const root = await mkdtemp(join(tmpdir(), 'remora-sftp-'));
  await chmod(root, 0o755);
  const [near, far] = duplexPair(chunkSize);
  new SftpSession(far, await prepareService({ ...server, root }));
  const client = await SftpClient.connect(near, options);
  return {
    client,
    root,
    stream: near,
    end: async () => {
      client.end();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** The far end of a client, played by the test: it sees requests and sends what it likes. */
export class PlayedServer {
  readonly stream: Duplex;
  readonly requests: { readonly id: number; readonly request: Request | UnknownRequest }[] = [];
  readonly #splitter = new FrameSplitter((packet) => this.#take(packet));
  readonly #extensions: readonly string[];
  #greeted = false;

  constructor(stream: Duplex, extensions: readonly string[] = []) {
    this.stream = stream;
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => this.#splitter.push(chunk));
    this.#extensions = extensions;
  }

  #take(packet: Buffer): void {
    if (this.#greeted) this.requests.push(decodeRequest(packet));
    else this.stream.write(encodeVersion(new Map(this.#extensions.map((name) => [name, '1']))));
    this.#greeted = true;
  }

  reply(id: number, reply: Reply): void {
    this.stream.write(encodeReply(id, reply));
  }
}

/** A client joined to a server that the test plays. */
export async function playServer(
  extensions: readonly string[] = [],
  options: SftpClientOptions = {},
): Promise<{ client: SftpClient; server: PlayedServer }> {
  const [near, far] = duplexPair();
  const server = new PlayedServer(far, extensions);
  return { client: await SftpClient.connect(near, options), server };
}
