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

/** Bytes on their way to the server that fill a lane: what it takes in at once, and some more to keep it busy. */
const CAPACITY = 3 * 1024 * 1024;
/** How often a file is opened further before it is left as it is. */
const ATTEMPTS = 3;

/** As much of a client as data needs: that of the mount, which recovers, or one for bulk data, which does not. */
export type DataClient = Pick<
  SftpClient,
  'state' | 'limits' | 'open' | 'fstat' | 'readInto' | 'write' | 'copyData' | 'close'
>;

/** One way to reach an open file. */
export interface Lane {
  readonly client: DataClient;
  readonly handle: SftpHandle;
}

/** Two open files over one client. */
export interface Way {
  readonly first: Lane;
  readonly second: Lane;
  /** It is the client that carries the metadata. */
  readonly isHome: boolean;
}

/** Which way data goes on its lane: to the server or from there. */
export type Direction = 'up' | 'down';

/** A rename under way; one that is posted counts as done here before it is on the server. */
interface Move {
  readonly from: Path;
  readonly to: Path;
  readonly isPosted: boolean;
}

export class Lanes {
  readonly #remote: Remote;
  readonly #bulk: BulkClients | null;
  /** Bytes in flight, by their direction. */
  readonly #loads = new WeakMap<DataClient, Readonly<Record<Direction, number>>>();
  /** Renames under way, and how many ever began. */
  readonly #moves = new Set<Move>();
  #renames = 0;
  /** Called when there may be room where there was none: a file has got further lanes. */
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
    return this.#leastLoaded(this.#usable(file)) ?? file.home;
  }

  /** The same for a write, among those with room for one; null when there is none. */
  free(file: OpenFile): Lane | null {
    return this.#leastLoaded(this.#usable(file).filter((lane) => this.hasRoom(lane)));
  }

  /** What is read goes the other way, and takes no room from what is written. */
  hasRoom({ client }: Lane): boolean {
    return this.#loadOf(client).up < CAPACITY;
  }

  /** The way of `file` over `client`, if it has one. */
  over(file: OpenFile, client: DataClient): Lane | null {
    return [file.home, ...file.further].find((lane) => lane.client === client) ?? null;
  }

  /** Both files over the least loaded client that has both. */
  together(first: OpenFile, second: OpenFile): Way {
    const shared = first.further.filter(
      ({ client }) => client.state === 'open' && second.further.some((other) => other.client === client),
    );
    const lane = this.#leastLoaded(shared);
    const other = lane === null ? null : this.over(second, lane.client);
    if (lane === null || other === null) return { first: first.home, second: second.home, isHome: true };
    return { first: lane, second: other, isHome: false };
  }

  /** Counts `bytes` as in flight while `request` is. */
  async carry<T>({ client }: Lane, direction: Direction, bytes: number, request: Promise<T>): Promise<T> {
    const count = (change: number) => {
      const load = this.#loadOf(client);
      this.#loads.set(client, { ...load, [direction]: load[direction] + change });
    };
    count(bytes);
    try {
      return await request;
    } finally {
      count(-bytes);
    }
  }

  /** Was the lane lost on the way, so that the request may be repeated on another? */
  isLost(file: OpenFile, lane: Lane): boolean {
    if (lane === file.home || lane.client.state === 'open') return false;
    file.further = file.further.filter((other) => other !== lane);
    return true;
  }

  /** While names move, none is opened further: on another connection it may lead to another file already. */
  async whileRenaming<T>(from: Path, to: Path, rename: () => Promise<T>, isPosted = false): Promise<T> {
    const move = { from, to, isPosted };
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
    const moves = [...this.#moves];
    const posted = moves.filter(({ to, isPosted }) => isPosted && isWithin(path, to));
    const before = posted.map(({ from, to }) => rebase(path, to, from));
    const after = moves
      .filter(({ from }) => isWithin(path, from))
      .map(({ from, to }) => rebase(path, from, to));
    // One that is posted has moved the name here already: as long as the old one is there, that is the file.
    return [...before, path, ...after];
  }

  /** The file is large: opens it on the bulk clients that it does not use yet. Never rejects. */
  async widen(file: OpenFile): Promise<void> {
    if (this.#bulk === null || file.widening !== 'no' || this.#moves.size > 0) return;
    this.#bulk.want();
    const used = new Set(file.further.map(({ client }) => client));
    const clients = this.#bulk.clients.filter((client) => !used.has(client) && this.#fits(client));
    if (clients.length === 0 || file.node.path === null) return;
    file.widening = 'under way';
    await this.#widen(file, clients);
  }

  /** Closes every handle of the file; nobody waits for that. */
  close(file: OpenFile): void {
    file.widening = 'closed';
    for (const lane of [file.home, ...file.further]) closeLane(lane);
    file.further = [];
  }

  #loadOf(client: DataClient): Readonly<Record<Direction, number>> {
    return this.#loads.get(client) ?? { up: 0, down: 0 };
  }

  #leastLoaded(lanes: readonly Lane[]): Lane | null {
    let best: Lane | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const lane of lanes) {
      const { up, down } = this.#loadOf(lane.client);
      if (up + down < least) [best, least] = [lane, up + down];
    }
    return best;
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
    const quiet = this.#remote.client.quiet(this.#remote.at(path));
    if (quiet !== null) await quiet;
    if (node.path !== path) return null;
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
function isOurs({ isInFlux, extent }: FileNode, earlier: SftpAttributes, later: SftpAttributes): boolean {
  return isSameFile(earlier, later) || (isInFlux && isGrownFile(earlier, later, extent));
}

function closeLane({ client, handle }: Lane): void {
  client.close(handle).catch((error: unknown) => log('close: %s', error));
}
