/**
 * What the handlers share. A handler calls the filesystem and answers a `Completion`; it changes the node
 * table for what has happened on the server, while what only the kernel's receiving the answer makes true (a
 * lookup counted, a handle held) happens in `deliver`, or is undone in `abandon`: exactly one of the two runs.
 */
import type { ByteString } from '../../base/bytes.js';
import { FsError } from '../../base/errno.js';
import { isValidName, joinPath, NAME_MAX, nameOf, type Path, parentOf } from '../../base/path.js';
import type { Operations, Stat, Target } from '../../fs/operations.js';
import type { Node, NodeTable } from '../nodes.js';
import type { OpenFiles } from '../open-files.js';
import type { PathGate } from '../path-gate.js';
import { entryOut } from '../protocol/replies.js';
import type { InHeader } from '../protocol/requests.js';
import type { WireReader } from '../protocol/wire.js';

/** What handlers work on. */
export interface State {
  readonly operations: Operations;
  readonly nodes: NodeTable;
  readonly open: OpenFiles;
  /** Every call by path goes through it, so that the path means the kernel's node while the call runs. */
  readonly gate: PathGate;
  /** Makes the kernel ask for the attributes of a node anew; never rejects. */
  dropAttributes(nodeid: number): Promise<void>;
  /** Does a program still wait for the request? */
  isPending(unique: number): boolean;
  /** Makes the kernel ask for a name anew. */
  expireEntry(parent: Node, name: ByteString): void;
  /** Calls back if the program that waits for the request is let go before the answer. */
  onLetGo(unique: number, callback: () => void): void;
  /** The kernel will believe for a while that there is no such name. */
  toldAbsent(parent: Node, name: ByteString): void;
  /** Makes the kernel ask anew for the targets of the symbolic links at and below a node that got another name. */
  dropTargets(node: Node): void;
}

export interface Completion {
  /** The payload of the reply, made at the moment it is sent. */
  deliver(): readonly Uint8Array[];
  /** The reply never reached the kernel (an interrupt was quicker): gives back what it would have held. */
  abandon?(): void;
  /** Called last, exactly once, when the reply is written or was given up: returns what it borrowed. */
  finish?(): void;
}

export type Handler = (state: State, header: InHeader, reader: WireReader) => Promise<Completion>;

/** A reply without payload. */
export const DONE: Completion = { deliver: () => [] };

export function payload(...buffers: readonly Uint8Array[]): Completion {
  return { deliver: () => buffers };
}

/** Decodes the body of a request; one that is cut short is EINVAL, before anything is done. */
export function decode<T>(reader: WireReader, read: (reader: WireReader) => T): T {
  const body = read(reader);
  if (reader.failed) throw new FsError('EINVAL', 'malformed request');
  return body;
}

export function nodeOf(state: State, nodeid: number): Node {
  const node = state.nodes.get(nodeid);
  if (node === undefined) throw new FsError('ESTALE', `unknown node ${nodeid}`);
  return node;
}

/** What a program hears of a node without a name: ESTALE makes the kernel look the name up once more. */
function nameless(node: Node): FsError {
  return new FsError(node.wasRemoved ? 'ENOENT' : 'ESTALE', `node ${node.id} has no name any more`);
}

/** The path of a node that must still have one. */
export function pathOf(state: State, node: Node): Path {
  const path = state.nodes.pathOf(node);
  if (path === null) throw nameless(node);
  return path;
}

/** Where `name` in a directory is; nothing is found or made in a directory that was removed. */
export function childPath(state: State, parent: Node, name: ByteString): Path {
  if (name.length > NAME_MAX) throw new FsError('ENAMETOOLONG');
  if (!isValidName(name)) throw new FsError('EINVAL', 'invalid name');
  const directory = state.nodes.pathOf(parent);
  if (directory === null) throw new FsError('ENOENT', `directory ${parent.id} was removed`);
  return joinPath(directory, name);
}

/** Did the server not find what the request was about? */
export function isMissing(error: unknown): error is FsError {
  return error instanceof FsError && error.code === 'ENOENT';
}

/**
 * Runs `work`, which reaches a file by its name if it has one. A name that is gone on the server, though the kernel still
 * believes in it, is taken from the file, and the next one tried.
 */
export async function byName<T>(state: State, node: Node, work: () => Promise<T>): Promise<T> {
  for (;;) {
    let used: Path | null = null;
    try {
      return await state.gate.using(
        () => state.nodes.pathOf(node),
        (path) => {
          used = path;
          return work();
        },
      );
    } catch (error) {
      const isGone = isMissing(error) && state.nodes.linkCount(node) > 1;
      const parent = isGone && used !== null ? state.nodes.find(parentOf(used)) : undefined;
      if (parent === undefined || used === null) throw error;
      const name = nameOf(used);
      if (state.nodes.child(parent, name) === node) state.nodes.unlink(parent, name);
      state.expireEntry(parent, name);
    }
  }
}

/** The path of a directory, or null for one that was removed through the mount. */
export function directoryOf(state: State, node: Node): Path | null {
  return state.nodes.remainsOf(node) === null ? pathOf(state, node) : null;
}

/** What GETATTR, SETATTR or ACCESS is about: path and the caller's handle, else any that reaches a nameless file. */
export function targetOf(state: State, node: Node, fh: number | null): Target {
  const path = state.nodes.pathOf(node);
  const handle = fh ?? (path === null ? state.open.anyOf(node.id) : null);
  if (path !== null || handle !== null) return { path, handle };
  const removed = state.nodes.remainsOf(node);
  if (removed === null) throw nameless(node);
  return { path, handle, removed };
}

/** `fuse_entry_out` of a name, which counts as one lookup. */
export function deliverEntry(
  state: State,
  parent: Node,
  name: ByteString,
  found: Stat,
): { node: Node; entry: Buffer } {
  const node = state.nodes.lookup(parent, name, found.attributes.mode, found.names);
  state.nodes.tell(node, found.attributes);
  return { node, entry: entryOut({ nodeid: node.id, ino: node.ino, ...found }) };
}

/**
 * The kernel shall ask for a name anew when its change goes on without the program that began it: what it believes of
 * the name is not true for long. Answers what to do when such a change has ended: nothing if that was done already,
 * since whoever has asked meanwhile has waited, and may have made it his working directory.
 */
export function doubting(
  state: State,
  header: InHeader,
  ...names: (readonly [Node, ByteString])[]
): () => void {
  let isDone = false;
  const expire = () => {
    if (isDone) return;
    isDone = true;
    for (const [parent, name] of names) state.expireEntry(parent, name);
  };
  state.onLetGo(header.unique, expire);
  return expire;
}
