/**
 * Where the data of an open file travels. Every file has its home lane: the handle that OPEN gave, on the
 * client that also carries the metadata. Once a file turns out to be large, it is opened again on the clients
 * for bulk data, and from then on its data goes there: nothing small waits behind it, and several lanes carry
 * more than one (a server takes in 2 MiB a round trip on each channel, RFC 4254 §5.2).
 *
 * A further handle is used only when the server describes it as the very file that the first one reaches. If
 * nothing can be opened, or a lane is lost, data takes the lanes that are left, at last the home lane.
 */
import { logger } from '../base/log.js';
import { isWithin, type Path, rebase } from '../base/path.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { SftpClient, SftpHandle } from '../sftp/client.js';
import { SSH_FXF_READ, SSH_FXF_WRITE } from '../sftp/constants.js';
import type { BulkClients } from './bulk.js';
import type { FileNode, OpenFile } from './open-file.js';
import { both, type Remote } from './remote.js';
import { isGrownFile, isSameFile } from './same-file.js';

const log = logger('lanes');

/** Bytes in flight that fill a lane: what a server takes in at once, and some more to keep it busy. */
const CAPACITY = 3 * 1024 * 1024;
/** How often a file is opened further before it is left as it is. */
const ATTEMPTS = 3;

/** As much of a client as data needs: that of the mount, which recovers, or one for bulk data, which does not. */
export type DataClient = Pick<
  SftpClient,
  'state' | 'limits' | 'open' | 'fstat' | 'readInto' | 'write' | 'close'
>;

/** One way to reach an open file. */
export interface Lane {
  readonly client: DataClient;
  readonly handle: SftpHandle;
}

export class Lanes {
  readonly #remote: Remote;
  readonly #bulk: BulkClients | null;
  readonly #loads = new WeakMap<DataClient, number>();
  /** Renames under way, and how many ever began. */
  readonly #moves = new Set<{ readonly from: Path; readonly to: Path }>();
  #renames = 0;
  /** Called when there may be room where there was none: a file has got further lanes, or a full one has emptied. */
  onRoom: () => void = () => undefined;

  constructor(remote: Remote, bulk: BulkClients | null) {
    this.#remote = remote;
    this.#bulk = bulk;
  }

  /** Requests without their answer on the further clients. */
  get inFlight(): number {
    return (this.#bulk?.clients ?? []).reduce((sum, client) => sum + client.inFlight, 0);
  }

  /** Data will be moved soon. */
  want(): void {
    this.#bulk?.want();
  }

  /** The least loaded lane, for the next piece of data: several server processes then share the work. */
  best(file: OpenFile): Lane {
    const [first = file.home, ...others] = this.#usable(file);
    return others.reduce(
      (least, lane) => (this.#load(lane.client) < this.#load(least.client) ? lane : least),
      first,
    );
  }

  /** The same, or null when each lane has as much in flight as it can carry. */
  free(file: OpenFile): Lane | null {
    const lane = this.best(file);
    return this.hasRoom(lane) ? lane : null;
  }

  hasRoom({ client }: Lane): boolean {
    return this.#load(client) < CAPACITY;
  }

  /** The way of `file` over `client`, if it has one. */
  over(file: OpenFile, client: DataClient): Lane | null {
    return [file.home, ...file.further].find((lane) => lane.client === client) ?? null;
  }

  /** Counts `bytes` as in flight while `request` is. */
  async carry<T>({ client }: Lane, bytes: number, request: Promise<T>): Promise<T> {
    this.#loads.set(client, this.#load(client) + bytes);
    try {
      return await request;
    } finally {
      const load = this.#load(client);
      this.#loads.set(client, load - bytes);
      if (load >= CAPACITY && load - bytes < CAPACITY) this.onRoom();
    }
  }

  /** Was the lane lost on the way, so that the request may be repeated on another? */
  isLost(file: OpenFile, lane: Lane): boolean {
    if (lane === file.home || lane.client.state === 'open') return false;
    file.further = file.further.filter((other) => other !== lane);
    return true;
  }

  /** While names move, none is opened further: on another connection it may lead to another file already. */
  async whileRenaming<T>(from: Path, to: Path, rename: () => Promise<T>): Promise<T> {
    const move = { from, to };
    this.#moves.add(move);
    this.#renames += 1;
    try {
      return await rename();
    } finally {
      this.#moves.delete(move);
    }
  }

  /** What a file called `path` may be called on the server: a rename under way may have happened there. */
  namesOf(path: Path): readonly Path[] {
    const moves = [...this.#moves].filter(({ from }) => isWithin(path, from));
    return [path, ...moves.map(({ from, to }) => rebase(path, from, to))];
  }

  /** The file is large: opens it on the bulk clients that it does not use yet, in the background. */
  widen(file: OpenFile): void {
    if (this.#bulk === null || file.widening !== 'no' || this.#moves.size > 0) return;
    this.#bulk.want();
    const used = new Set(file.further.map(({ client }) => client));
    const clients = this.#bulk.clients.filter((client) => !used.has(client) && this.#fits(client));
    if (clients.length === 0 || file.node.path === null) return;
    file.widening = 'under way';
    void this.#widen(file, clients);
  }

  /** Closes every handle of the file; nobody waits for that. */
  close(file: OpenFile): void {
    file.widening = 'closed';
    for (const lane of [file.home, ...file.further]) closeLane(lane);
    file.further = [];
  }

  #load(client: DataClient): number {
    return this.#loads.get(client) ?? 0;
  }

  #usable(file: OpenFile): readonly Lane[] {
    const open = file.further.filter(({ client }) => client.state === 'open');
    return open.length > 0 ? open : [file.home];
  }

  /** Requests are cut for the home lane; a client of a smaller cut is of no use. */
  #fits({ state, limits }: DataClient): boolean {
    const home = this.#remote.client.limits;
    return state === 'open' && limits.maxRead >= home.maxRead && limits.maxWrite >= home.maxWrite;
  }

  async #widen(file: OpenFile, clients: readonly SftpClient[]): Promise<void> {
    const found = await Promise.all(clients.map((client) => this.#open(file, client)));
    const lanes = found.filter((lane) => lane !== null);
    if (file.widening === 'closed') {
      for (const lane of lanes) closeLane(lane);
      return;
    }
    file.further = [...file.further, ...lanes];
    file.attempts += 1;
    // Where a client did not find the file, the next try may; clients that come later are welcome in any case.
    file.widening = lanes.length < clients.length && file.attempts >= ATTEMPTS ? 'refused' : 'no';
    log('%d lanes for an open file', file.further.length);
    this.onRoom();
  }

  async #open(file: OpenFile, client: SftpClient): Promise<Lane | null> {
    const { node, home } = file;
    const { path } = node;
    if (path === null) return null;
    const renames = this.#renames;
    const pflags = (file.canRead ? SSH_FXF_READ : 0) | (file.canWrite ? SSH_FXF_WRITE : 0);
    const [opened, here] = await both(
      client.open(this.#remote.at(path), pflags),
      // Behind the writes that are under way on the home lane, so that their size is in its answer.
      home.client.fstat(home.handle),
    );
    if (opened.status === 'rejected') {
      log('no further handle: %s', opened.reason);
      return null;
    }
    const lane: Lane = { client, handle: opened.value };
    try {
      const there = await client.fstat(lane.handle);
      const isNamed = node.path === path && this.#renames === renames;
      if (isNamed && here.status === 'fulfilled' && isOurs(node, here.value, there)) return lane;
      log('a further handle reaches another file');
    } catch (error) {
      log('nothing is known of a further handle: %s', error);
    }
    closeLane(lane);
    return null;
  }
}

/** Is what a further handle shows `later` the file that the first one showed a moment `earlier`? */
function isOurs({ isDirty, size }: FileNode, earlier: SftpAttributes, later: SftpAttributes): boolean {
  return isSameFile(earlier, later) || (isDirty && isGrownFile(earlier, later, size));
}

function closeLane({ client, handle }: Lane): void {
  client.close(handle).catch((error: unknown) => log('close: %s', error));
}
