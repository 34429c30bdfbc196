/**
 * One request of the mount, however many sessions it takes. It is sent at once when there is a session, and waits
 * when there is none. If the session is lost before the answer, nobody knows whether the server has done it: most
 * requests are simply sent again; one that would fail (or do harm) when done twice is looked up first, by its
 * `doubt`. The server of the lost session may carry it out between that look and the second try, which then fails:
 * so it is looked up once more before that is believed.
 */
import type { SftpClient } from '../sftp/client.js';
import { ConnectionLostError } from '../sftp/errors.js';

/** What a look at the server shows of a request that may have been carried out: its result, or that it was not. */
export type Verdict<T> = { readonly done: T } | 'not done';

export interface Request<T> {
  /** Writes its packets before it returns. */
  send(client: SftpClient): Promise<T>;
  /** Had an earlier try happened? Absent where a repetition does no harm. */
  readonly doubt?: (client: SftpClient) => Promise<Verdict<T>>;
}

/** Decides what becomes of a call whose session was lost: it waits for another one, or fails. */
export interface WaitingRoom {
  lost(call: Waiting, error: ConnectionLostError): void;
}

export interface Waiting {
  /** Its place among all calls: they go on in the order in which they were made. */
  readonly order: number;
  /** When it was made, in milliseconds of the monotonic clock, and how long the server had been gone until then. */
  readonly since: number;
  readonly downtime: number;
  /** Waits as long as it takes: nobody is kept waiting by it. */
  readonly isPatient: boolean;
  /** What the sessions that it has seen end speak against it. */
  suspicion: number;
  resume(client: SftpClient): void;
  fail(error: Error): void;
}

export class Call<T> implements Waiting {
  readonly order: number;
  readonly since: number;
  readonly downtime: number;
  readonly isPatient: boolean;
  suspicion = 0;
  readonly fail: (error: Error) => void;
  readonly #request: Request<T>;
  readonly #room: WaitingRoom;
  readonly #resolve: (value: T) => void;
  #wasSent = false;

  constructor(
    request: Request<T>,
    place: Pick<Waiting, 'order' | 'since' | 'downtime' | 'isPatient'>,
    room: WaitingRoom,
    resolve: (value: T) => void,
    reject: (error: Error) => void,
  ) {
    this.#request = request;
    this.order = place.order;
    this.since = place.since;
    this.downtime = place.downtime;
    this.isPatient = place.isPatient;
    this.#room = room;
    this.#resolve = resolve;
    this.fail = reject;
  }

  /** Goes out on the session that `client` carries. */
  resume(client: SftpClient): void {
    const { doubt } = this.#request;
    if (doubt === undefined || !this.#wasSent) {
      this.#send(client);
      return;
    }
    doubt(client).then(
      (verdict) => (verdict === 'not done' ? this.#send(client, doubt) : this.#resolve(verdict.done)),
      (error: Error) => this.#failed(error),
    );
  }

  #send(client: SftpClient, doubt?: Request<T>['doubt']): void {
    this.#wasSent = true;
    let answer: Promise<T>;
    try {
      answer = this.#request.send(client);
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    answer.then(this.#resolve, (error: Error) => {
      if (doubt === undefined || error instanceof ConnectionLostError) this.#failed(error);
      else this.#lookAgain(client, doubt, error);
    });
  }

  /** The second try failed with `error`: because of the first one? */
  #lookAgain(client: SftpClient, doubt: NonNullable<Request<T>['doubt']>, error: Error): void {
    doubt(client).then(
      (verdict) => (verdict === 'not done' ? this.fail(error) : this.#resolve(verdict.done)),
      (failure: Error) => this.#failed(failure instanceof ConnectionLostError ? failure : error),
    );
  }

  #failed(error: Error): void {
    if (error instanceof ConnectionLostError) this.#room.lost(this, error);
    else this.fail(error);
  }
}
