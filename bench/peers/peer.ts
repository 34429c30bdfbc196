/** What the bench knows of a client: how to connect it anew, what to time, and which processes it consists of. */
import type { Scope } from '../../test/support/scope.js';
import type { Server } from '../../test/support/server.js';

/** Where and how a client is to be connected. */
export interface Connection {
  readonly scope: Scope;
  readonly server: Server;
  /** Directory of the server. */
  readonly directory: string;
  /** A directory of this machine that is there as long as one client is measured, however often it is connected. */
  readonly cache: string;
}

/** A connected client. It begins with nothing cached, since it was connected for one measurement. */
export interface Client {
  /** The mounted directory; null where the client is a program that copies. */
  readonly directory: string | null;
  /** Processes that do the client's work. */
  processes(): Promise<readonly number[]>;
  /** Reads a whole file of `bytes` bytes; answers the seconds. `cap` is in seconds. */
  read(name: string, bytes: number, cap: number): Promise<number>;
  /** Writes a copy of the local file `source` of `bytes` bytes, with fsync; answers the seconds. */
  write(source: string, name: string, bytes: number, cap: number): Promise<number>;
  /** Disconnects, by force when it must; nothing of the client is left. */
  close(): Promise<void>;
}

export interface Peer {
  readonly name: string;
  /** False for a program that can only copy whole files. */
  readonly mounts: boolean;
  /** Programs that must be there, with the Debian package that brings each. */
  readonly programs: Readonly<Record<string, string>>;
  version(): Promise<string>;
  connect(connection: Connection): Promise<Client>;
}
