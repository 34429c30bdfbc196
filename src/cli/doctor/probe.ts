/**
 * One handshake with the server that goes no further than its host key: ssh2 leads it, as at a mount, and both sides'
 * first bytes are kept, since they stand in clear. Nobody logs in, and nothing is believed.
 */
import { Duplex } from 'node:stream';
import ssh2 from 'ssh2';
import { offeredAlgorithms } from '../../ssh/algorithms.js';
import { HostKeys } from '../../ssh/host-keys.js';
import type { ConnectSettings } from '../../ssh/settings.js';
import { type Opening, readOpening } from './kexinit.js';
import type { Station } from './station.js';

/** How much of either side is kept, in bytes: more than any KEXINIT takes. */
const KEPT = 64 * 1024;

export interface Probe {
  readonly theirs: Opening;
  readonly ours: Opening;
  /** As on the wire; null when the handshake did not come so far. */
  readonly hostKey: Buffer | null;
  /** Who ended it: the server closed the connection, or was silent for too long, or neither. */
  readonly ending: 'closed' | 'silent' | 'done';
  /** What ssh2 says was wrong, if anything. */
  readonly complaint: string | null;
}

/** A stream over `socket` that keeps the beginning of either direction. */
class Recorder extends Duplex {
  readonly #socket: Duplex;
  readonly #sent: Buffer[] = [];
  readonly #received: Buffer[] = [];

  constructor(socket: Duplex) {
    super();
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    socket.resume();
  }

  get sent(): Buffer {
    return Buffer.concat(this.#sent);
  }

  get received(): Buffer {
    return Buffer.concat(this.#received);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    keep(this.#sent, chunk);
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #onData(chunk: Buffer): void {
    keep(this.#received, chunk);
    // Whose memory it is, and for how long, is the affair of the stream below.
    this.push(Buffer.from(chunk));
  }
}

function keep(chunks: Buffer[], chunk: Buffer): void {
  const held = chunks.reduce((sum, each) => sum + each.length, 0);
  if (held < KEPT) chunks.push(Buffer.from(chunk.subarray(0, KEPT - held)));
}

/**
 * @param timeout milliseconds for the way there, and for the handshake
 * @throws Error of the way
 */
export async function probe(station: Station, timeout: number): Promise<Probe> {
  const { settings, subject } = station;
  const hostKeys = await HostKeys.load(settings, subject.surroundings);
  const algorithms = offeredAlgorithms(
    subject.speaker === 'openssh' ? withoutLists(settings) : settings,
    hostKeys.preferredAlgorithms(),
  );
  const way = await station.open(AbortSignal.timeout(timeout));
  const recorder = new Recorder(way.stream);
  const client = new ssh2.Client();
  let hostKey: Buffer | null = null;
  let complaint: string | null = null;
  const ending = await new Promise<Probe['ending']>((resolve) => {
    const timer = setTimeout(() => resolve('silent'), timeout);
    const finish = (how: Probe['ending']) => {
      clearTimeout(timer);
      resolve(how);
    };
    client.on('error', (error) => {
      complaint ??= error.message;
      finish('closed');
    });
    client.on('close', () => finish('closed'));
    recorder.once('close', () => finish('closed'));
    client.connect({
      sock: recorder,
      username: settings.user,
      readyTimeout: 0,
      algorithms,
      hostVerifier: (key: Buffer) => {
        hostKey = Buffer.from(key);
        finish('done');
        return false;
      },
    });
  });
  client.destroy();
  recorder.destroy();
  way.end();
  const [theirs, ours] = [readOpening(recorder.received), readOpening(recorder.sent)];
  return { theirs, ours, hostKey, ending, complaint };
}

/** The lists are for the ssh program, which may know what ssh2 does not. */
function withoutLists(settings: ConnectSettings): ConnectSettings {
  return { ...settings, ciphers: [], kexAlgorithms: [], macs: [], hostKeyAlgorithms: [] };
}
