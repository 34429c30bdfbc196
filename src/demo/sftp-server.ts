/**
 * An SFTP version 3 server over any duplex stream, with a directory of this host as `/`. It answers strictly
 * in order, as OpenSSH does. Memory stays bounded: nothing more is read while requests of one chunk are
 * served, and the next is not begun while replies wait to be sent.
 */
import type { Duplex } from 'node:stream';
import { encodeText } from '../base/bytes.js';
import { logger } from '../base/log.js';
import { EXTENSION_REVISIONS, MAX_DATA, MAX_PACKET, SFTP_VERSION, SSH_FXP_INIT } from '../sftp/constants.js';
import { ProtocolError } from '../sftp/errors.js';
import { FrameSplitter } from '../sftp/frames.js';
import { decodeInit, encodeVersion } from '../sftp/handshake.js';
import { decodeRequest } from '../sftp/requests.js';
import { Accounts } from './accounts.js';
import { Answers, type Service } from './answers.js';
import { RootedPaths } from './rooted-paths.js';

const log = logger('server');

const DEFAULT_MAX_HANDLES = 1000;

export interface SftpServerOptions {
  /** The directory of the host that is served. */
  readonly root: string;
  /** The user whose home is `/`, for `~user`. */
  readonly user?: string;
  /** Names of the extensions on offer; all that the codec knows unless given. */
  readonly extensions?: ReadonlySet<string>;
  /** Most bytes of one READ and one WRITE (default and most 261120), most open handles (default 1000). */
  readonly maxRead?: number;
  readonly maxWrite?: number;
  readonly maxHandles?: number;
}

/** Looks at the served directory, which must exist. One service may be shared by many sessions. */
export async function prepareService(options: SftpServerOptions): Promise<Service> {
  const [paths, accounts] = await Promise.all([RootedPaths.at(options.root), Accounts.load()]);
  return {
    paths,
    accounts,
    user: encodeText(options.user ?? ''),
    extensions: options.extensions ?? new Set(EXTENSION_REVISIONS.keys()),
    limits: {
      maxPacket: MAX_PACKET,
      maxRead: Math.min(options.maxRead ?? MAX_DATA, MAX_DATA),
      maxWrite: Math.min(options.maxWrite ?? MAX_DATA, MAX_DATA),
      maxHandles: options.maxHandles ?? DEFAULT_MAX_HANDLES,
    },
  };
}

type SessionState = 'greeting' | 'serving' | 'ended';

export class SftpSession {
  readonly #stream: Duplex;
  readonly #answers: Answers;
  /** Packets of the chunk at hand. */
  #packets: Buffer[] = [];
  readonly #splitter = new FrameSplitter((packet) => this.#packets.push(packet));
  #state: SessionState = 'greeting';
  #working: Promise<void> = Promise.resolve();
  #drained: (() => void) | null = null;

  /** Serves `stream` from now on, until it ends or `end` is called. */
  constructor(stream: Duplex, service: Service) {
    this.#stream = stream;
    this.#answers = new Answers(service);
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('drain', () => this.#drained?.());
    stream.on('error', (error: Error) => {
      log('the stream failed: %s', error.message);
      this.end();
    });
    stream.on('end', () => this.end());
    stream.on('close', () => this.end());
  }

  /** Ends the session; open files are closed once the request at work is done. */
  end(): void {
    if (this.#state === 'ended') return;
    this.#setState('ended');
    this.#drained?.();
    void this.#working.then(() => this.#answers.handles.closeAll()).then(() => this.#stream.end());
  }

  #receive(chunk: Buffer): void {
    if (this.#state === 'ended') return;
    try {
      this.#splitter.push(chunk);
    } catch (error) {
      this.#abandon(error);
      return;
    }
    const packets = this.#packets;
    if (packets.length === 0) return;
    this.#packets = [];
    this.#stream.pause();
    this.#working = this.#serve(packets).then(
      () => {
        this.#stream.resume();
      },
      (error: unknown) => this.#abandon(error),
    );
  }

  async #serve(packets: readonly Buffer[]): Promise<void> {
    for (const packet of packets) {
      if (this.#state === 'ended') return;
      await this.#send(await this.#answer(packet));
    }
  }

  /** For a client that broke the protocol. */
  #abandon(error: unknown): void {
    log('%s', error instanceof Error ? error.message : error);
    this.end();
    this.#stream.destroy();
  }

  #answer(packet: Buffer): Buffer | Promise<Buffer> {
    if (this.#state === 'greeting') {
      const version = decodeInit(packet);
      if (version < SFTP_VERSION) throw new ProtocolError(`the client speaks version ${version}`);
      this.#setState('serving');
      return encodeVersion(this.#announced());
    }
    if (packet[0] === SSH_FXP_INIT) throw new ProtocolError('a second SSH_FXP_INIT');
    const { id, request } = decodeRequest(packet);
    return this.#answers.answer(id, request);
  }

  #announced(): ReadonlyMap<string, string> {
    const offered = this.#answers.service.extensions;
    return new Map([...EXTENSION_REVISIONS].filter(([name]) => offered.has(name)));
  }

  /** Resolves when there is room for more. */
  async #send(packet: Buffer): Promise<void> {
    if (this.#state === 'ended' || this.#stream.write(packet)) return;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
    this.#drained = null;
  }

  #setState(state: SessionState): void {
    log('session %s -> %s', this.#state, state);
    this.#state = state;
  }
}
