/**
 * The SFTP client that a mount works with: the methods of `SftpClient`, on a session that may be lost and made
 * again underneath. Requests keep their order across sessions: what was under way or came meanwhile goes out
 * in the order of the calls, after every handle was opened again. A call that waits too long for a session fails
 * with ETIMEDOUT, or with EHOSTDOWN when nothing is tried any more (see patience.ts).
 */
import type { ByteString } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { FsError } from '../base/errno.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { SftpClient, SftpHandle } from '../sftp/client.js';
import { ConnectionLostError, type LossKind } from '../sftp/errors.js';
import type { ServerLimits } from '../sftp/extensions.js';
import { Call, type Request, type Waiting, type WaitingRoom } from './call.js';
import { Handles, type Keeper } from './handles.js';
import { Order } from './order.js';
import { verdict, type Weather } from './patience.js';
import { Requests } from './requests.js';
import type { Session } from './session.js';

/** How often it is looked at who has waited too long, in milliseconds. */
const LOOK = 500;
const MIN_LOOK = 20;
/** A request is not repeated for ever: it may be what ends the sessions. How much each end speaks for that. */
const SUSPICION: Readonly<Record<LossKind, number>> = { ended: 1, protocol: 3, unanswered: 0 };
const MAX_SUSPICION = 9;

export interface RecoveringClientSettings {
  readonly clock: Clock;
  /** Milliseconds that a call waits without a sign of the server; 0: not at all, infinity: for ever. */
  readonly timeout: number;
  /** A line for the log of the mount. */
  report(text: string): void;
}

/** Somebody who waits, not for an answer but for what depends on answers. */
interface Guest {
  /** How long the server had been gone until it came. */
  readonly downtime: number;
  fail(error: FsError): void;
}

export class RecoveringClient extends Requests {
  readonly #session: Session;
  readonly #settings: RecoveringClientSettings;
  readonly #posts = new Order();
  /** Requests of what is posted: nobody is kept waiting, so they wait as long as it takes, and not for one another. */
  readonly posted: Requests;
  /**
   * Told what the server says of files before whoever asked for it is; a promise is waited for, null holds up nobody.
   * It must not reject.
   */
  meet: ((found: readonly SftpAttributes[]) => Promise<void> | null) | null = null;
  readonly #room: WaitingRoom = { lost: (call, error) => this.#lost(call, error) };
  readonly #parked = new Set<Waiting>();
  readonly #guests = new Set<Guest>();
  /** Called when the server falls silent or is gone, and when all is well again. */
  onWeather: (isDown: boolean) => void = () => undefined;
  #wasDown = false;
  /** The last client, for what does not change when there is none. */
  #latest: SftpClient;
  #order = 0;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;
  #lastLoss: ConnectionLostError | null = null;
  /** Rejects when a new session does not lead to what the mount is of: then it counts as a failed try. */
  vouch: (client: SftpClient) => Promise<unknown> = async () => undefined;

  /** `first` is what `session` was made with. */
  constructor(session: Session, first: SftpClient, settings: RecoveringClientSettings) {
    super(new Handles(settings.report));
    this.#session = session;
    this.#settings = settings;
    this.#latest = first;
    this.posted = new PostedRequests(this.handles, {
      has: (extension) => this.has(extension),
      limits: () => this.limits,
      introduce: (found) => this.introduce(found),
      carrier: () => session.client,
      call: (request) => this.#call(request, true),
    });
    session.listen({ prepare: (client) => this.#prepare(client), changed: () => this.#changed() });
  }

  has(extension: string): boolean {
    return this.#latest.has(extension);
  }

  get limits(): ServerLimits {
    return this.#latest.limits;
  }

  get state(): 'open' | 'closed' {
    return this.#isClosed ? 'closed' : 'open';
  }

  /** Requests without their answer, those that wait for a session included. */
  get inFlight(): number {
    return (this.#session.client?.inFlight ?? 0) + this.#parked.size;
  }

  /** Of these, what waits for a session. */
  get parked(): number {
    return this.#parked.size;
  }

  /** The server is silent or gone: whatever needs it waits. */
  get isDown(): boolean {
    return this.#session.downSince !== null;
  }

  /** Ends the session; whoever waits fails with EIO. */
  end(): void {
    this.#isClosed = true;
    this.#session.close();
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const call of [...this.#parked]) call.fail(ended());
    for (const guest of [...this.#guests]) guest.fail(ended());
    this.#parked.clear();
    this.#guests.clear();
  }

  /** `promise`, which depends on answers of the server, for as long as a call may wait: then its errno. */
  patiently<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const guest: Guest = { downtime: this.#session.downtime, fail: reject };
      this.#guests.add(guest);
      promise.finally(() => this.#guests.delete(guest)).then(resolve, reject);
      this.#look();
    });
  }

  /** `keeper` says from now on where the open file is and whether another one has taken its place. */
  keep(handle: SftpHandle, keeper: Keeper): void {
    this.handles.keep(handle, keeper);
  }

  /**
   * Runs `work`, which changes what is called `paths` by requests of `posted`, behind what was posted about them, what
   * lies above or below them before; requests that come later wait for it.
   */
  post<T>(paths: readonly ByteString[], work: (requests: Requests) => Promise<T>): Promise<T> {
    return this.#posts.post(paths, () => work(this.posted));
  }

  /** Resolves when nothing about `path` is posted any more; null when nothing is. */
  quiet(path: ByteString): Promise<void> | null {
    return this.#posts.before([path]);
  }

  /** Resolves when all that is posted now has ended. */
  settled(): Promise<void> {
    return this.#posts.settled();
  }

  protected introduce(found: readonly SftpAttributes[]): Promise<void> | null {
    return this.meet?.(found) ?? null;
  }

  protected get carrier(): SftpClient | null {
    return this.#session.client;
  }

  protected call<T>(request: Request<T>, about: readonly ByteString[] = [], isPatient = false): Promise<T> {
    const before = about.length === 0 ? null : this.#posts.before(about);
    if (before === null) return this.#call(request, isPatient);
    return this.patiently(before).then(() => this.#call(request, isPatient));
  }

  #call<T>(request: Request<T>, isPatient: boolean): Promise<T> {
    if (this.#isClosed) return Promise.reject(ended());
    return new Promise((resolve, reject) => {
      this.#order += 1;
      const { client, downtime } = this.#session;
      const place = { order: this.#order, since: this.#settings.clock.monotonic(), downtime, isPatient };
      const call = new Call(request, place, this.#room, resolve, reject);
      if (client === null) this.#park(call);
      else call.resume(client);
    });
  }

  /** Its session ended before the answer came. The server may end each session that hears of it. */
  #lost(call: Waiting, error: ConnectionLostError): void {
    const { clock, timeout } = this.#settings;
    // Calls come in their order, and a server answers in theirs: the first one is what it did not answer.
    if (error !== this.#lastLoss) call.suspicion += SUSPICION[error.kind];
    this.#lastLoss = error;
    const isOverdue = error.kind === 'unanswered' && clock.monotonic() - call.since >= timeout;
    if (call.suspicion >= MAX_SUSPICION) call.fail(new FsError('EIO', error.message, { cause: error }));
    else if (isOverdue && !call.isPatient)
      call.fail(new FsError('ETIMEDOUT', error.message, { cause: error }));
    else this.#park(call);
  }

  #park(call: Waiting): void {
    if (this.#isClosed) {
      call.fail(ended());
      return;
    }
    this.#parked.add(call);
    // The session came back before this call heard that the last one was lost.
    if (this.#session.client !== null) this.#resume(this.#session.client);
    else this.#look();
  }

  /** Everything that was open is open again before anything else goes on. */
  async #prepare(client: SftpClient): Promise<void> {
    const { maxRead, maxWrite } = this.#latest.limits;
    if (client.limits.maxRead < maxRead || client.limits.maxWrite < maxWrite) {
      throw new Error('the server takes smaller requests than before: mount again');
    }
    await this.vouch(client);
    await this.handles.reopen(client);
  }

  #changed(): void {
    const { client } = this.#session;
    if (client !== null) {
      this.#latest = client;
      this.#resume(client);
    }
    // Whoever waits for a handle that is being made waits for the next session like everybody else.
    if (client === null) this.handles.interrupted(new ConnectionLostError('the connection was lost'));
    const { isDown } = this;
    if (isDown !== this.#wasDown) this.onWeather(isDown);
    this.#wasDown = isDown;
    this.#look();
  }

  #resume(client: SftpClient): void {
    const calls = [...this.#parked].sort((a, b) => a.order - b.order);
    this.#parked.clear();
    for (const call of calls) call.resume(client);
  }

  /** Turns away who has waited too long, now and from time to time while the session is down. */
  #look(): void {
    if (!this.isDown || this.#isClosed) {
      if (this.#timer !== null) clearInterval(this.#timer);
      this.#timer = null;
      return;
    }
    const { timeout } = this.#settings;
    this.#timer ??= setInterval(() => this.#look(), Math.min(LOOK, Math.max(MIN_LOOK, timeout / 4)));
    for (const call of [...this.#parked]) {
      const error = call.isPatient ? null : this.#verdict(call.downtime);
      if (error === null) continue;
      this.#parked.delete(call);
      call.fail(error);
    }
    for (const guest of [...this.#guests]) {
      const error = this.#verdict(guest.downtime);
      if (error === null) continue;
      this.#guests.delete(guest);
      guest.fail(error);
    }
    // Whoever waits for an answer on a session that is only silent waits no longer than others do.
    const { client, downSince } = this.#session;
    const silentFor = downSince === null ? 0 : this.#settings.clock.monotonic() - downSince;
    const silence = client === null ? null : verdict(this.#weather, timeout, silentFor);
    if (silence !== null) this.#session.drop(silence.message);
  }

  get #weather(): Weather {
    const { client, isGivenUp } = this.#session;
    return { isDown: this.isDown, hasSession: client !== null, isGivenUp };
  }

  /** Why somebody must wait no longer who came when the server had been gone for so long; null while they may. */
  #verdict(downtime: number): FsError | null {
    return verdict(this.#weather, this.#settings.timeout, this.#session.downtime - downtime);
  }
}

interface Post {
  has(extension: string): boolean;
  limits(): ServerLimits;
  introduce(found: readonly SftpAttributes[]): Promise<void> | null;
  carrier(): SftpClient | null;
  call<T>(request: Request<T>): Promise<T>;
}

class PostedRequests extends Requests {
  readonly #post: Post;

  constructor(handles: Handles, post: Post) {
    super(handles);
    this.#post = post;
  }

  has(extension: string): boolean {
    return this.#post.has(extension);
  }

  get limits(): ServerLimits {
    return this.#post.limits();
  }

  protected introduce(found: readonly SftpAttributes[]): Promise<void> | null {
    return this.#post.introduce(found);
  }

  protected get carrier(): SftpClient | null {
    return this.#post.carrier();
  }

  protected call<T>(request: Request<T>): Promise<T> {
    return this.#post.call(request);
  }
}

function ended(): FsError {
  return new FsError('EIO', 'the mount ends');
}
