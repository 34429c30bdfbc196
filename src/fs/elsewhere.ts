/**
 * What others do on the server, as somebody tells it who watches there: what is known of it is dropped, here and in
 * the kernel. Our own changes come back as such tales. They are told from others by what the watcher found: where that
 * is what we know, nothing has to be dropped. Taking an echo for a change costs a question; a change is taken for an
 * echo only where the attributes show no difference and we have changed the file within these seconds ourselves, and
 * then the next open looks again (see Freshness), as it does without a watch.
 */
import { LRUCache } from 'lru-cache';
import { type ByteString, decodeText } from '../base/bytes.js';
import { logger } from '../base/log.js';
import { isDirectory, isRegular, S_IFMT } from '../base/mode.js';
import { joinPath, type Path } from '../base/path.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { Name } from './directory.js';
import { isHidden, toAttributes } from './identity.js';
import type { Attributes } from './operations.js';
import type { Parts } from './parts.js';
import { isRacy, looksSame } from './same-file.js';
import type { Vouching } from './vouching.js';

const log = logger('watch');

/** Names that are asked for at a time since somebody changed them; of the others it shows when they are wanted. */
const MAX_ASKING = 64;

/** Directories whose times are remembered from one look to the next. */
const MAX_POLLED = 1024;

/** What was found where something had changed. */
export interface Found extends SftpAttributes {
  readonly nlink: number;
}

export interface ChangeElsewhere {
  /** The directory whose watcher tells it. */
  readonly directory: Path;
  /** Null for the directory itself. */
  readonly name: ByteString | null;
  readonly isDirectory: boolean;
  /** The name was made, removed, or given to another file. */
  readonly ofName: boolean;
  /** The content was written, or cut. */
  readonly ofContent: boolean;
  /** What has the name now; null for nothing, undefined where the watcher does not tell. */
  readonly found: Found | null | undefined;
}

/** Null for a name that does not exist, `outdated` for a file that has changed since, undefined where nothing is known. */
type Known = Attributes | null | 'outdated' | undefined;

/**
 * An `echo` of our own change; the `same` as we know, but not our doing; or something that is `other` than we know.
 * `found` is null for nothing, and undefined where it was not told.
 */
export function judge(
  known: Known,
  found: Attributes | null | undefined,
  isOwn: boolean,
): 'echo' | 'same' | 'other' {
  if (found === undefined) return 'other';
  if (known === undefined) return isOwn ? 'echo' : 'other';
  if (known === 'outdated') return isOwn && found !== null ? 'echo' : 'other';
  const isSame = known === null || found === null ? known === found : looksSame(known, found);
  if (!isSame) return 'other';
  return isOwn ? 'echo' : 'same';
}

export class Elsewhere {
  readonly #parts: Parts;
  readonly #vouching: Vouching;
  #asking = 0;
  /** The times that directories showed when they were looked at. */
  readonly #polled = new LRUCache<Path, number>({ max: MAX_POLLED });

  constructor(parts: Parts, vouching: Vouching) {
    this.#parts = parts;
    this.#vouching = vouching;
  }

  /** Directories of which anything is known, the one that was used last first. */
  recent(most: number): readonly Path[] {
    return this.#parts.names.recent(most);
  }

  /** Grows with each use of what is known. */
  get uses(): number {
    return this.#parts.names.uses;
  }

  /** `callback` is called when a directory has been listed that was not held before. */
  set onListed(callback: () => void) {
    this.#parts.names.answers.onListed = callback;
  }

  /** `callback` is told of directories that need not, or cannot, be watched any more as what they were. */
  set onDropped(callback: (directory: Path) => void) {
    this.#vouching.onDropped = callback;
  }

  /**
   * From now on every change in `directory` is told to `changed`. False where that cannot be made use of. For `quiet`
   * milliseconds nothing came or went there.
   */
  watched(directory: Path, quiet: number): boolean {
    return this.#vouching.begin(directory, this.#parts.names.epochs.next(), quiet);
  }

  /** All that changed until `at`, in milliseconds of the monotonic clock, has been told. */
  proved(at: number): void {
    this.#vouching.proved(at);
  }

  /** `directory`, and all below it, is not watched any more. */
  unwatched(directory: Path): void {
    this.#vouching.drop(directory);
  }

  /** Nothing is watched any more, or something may not have been told. */
  lost(): void {
    this.#vouching.clear();
  }

  /** Somebody has changed something, we ourselves perhaps. */
  changed(change: ChangeElsewhere): void {
    const { directory, name, ofName } = change;
    if (name === null) {
      if (ofName) this.#vouching.drop(directory);
      this.#changedItself(directory);
      // Who may list it may have changed.
      if (!this.#vouching.isOwn(directory)) this.#parts.names.held(directory)?.unlist();
      return;
    }
    const path = joinPath(directory, name);
    const { names } = this.#parts;
    const count = names.linkCount(path);
    const found = this.#seen(path, change.found, names.remembered(path)?.attributes);
    const uncounted = this.#uncounted(path, change, found, count);
    this.#changedName(path, change, found);
    this.#parts.counts.doubt(uncounted);
  }

  #changedName(path: Path, change: ChangeElsewhere, found: Attributes | null | undefined): void {
    const { directory, ofName, ofContent } = change;
    const { names, files, content, kernel, links, freshness } = this.#parts;
    const node = files.peek(path);
    const isBusy = node !== undefined && (node.isDirty || node.settling > 0);
    const isOwn = isBusy || this.#vouching.isOwn(path);
    const remembered = names.remembered(path);
    const wasThere = remembered !== undefined && remembered.attributes !== null;
    const known = this.#known(directory, remembered);
    // Of a file that is being written, our own flush will tell.
    const verdict = isBusy && found ? 'echo' : judge(known, found, isOwn);
    log('%s %s: %s', decodeText(path), ofName ? 'made or gone' : 'changed', verdict);
    if (change.isDirectory && ofName) {
      this.#vouching.drop(path);
      if (verdict !== 'echo') names.forgetTree(path);
    }
    if (verdict === 'echo') return;
    this.#disbelieve(path, change);
    if (ofName) this.#changedItself(directory);
    // A name that was made or given anew may be another file's that looks the same.
    if (verdict === 'same' && !ofName) names.answers.voidAbout(path);
    else if (wasThere) names.changedElsewhere(path);
    else names.appeared(path);
    if (ofName && found && links.twin(path) !== null) void freshness.partStrangers(path, 0);
    if (node !== undefined && !isOwn && (ofContent || (ofName && node.handles.size === 0))) {
      content.drop(node);
      kernel?.invalidateData(path);
    }
    const isOther = !found || (found.mode & S_IFMT) !== remembered?.type;
    if (wasThere && (isOther || (node?.handles.size ?? 0) > 0)) void this.#ask(path);
  }

  /** What lies on this machine's disk of a file that changed, or of what had its name, may look the same. */
  #disbelieve(path: Path, { isDirectory, ofName, ofContent }: ChangeElsewhere): void {
    const { content, links } = this.#parts;
    if (ofContent) for (const name of links.others(path)) content.renewed(name);
    if (isDirectory && ofName) content.doubt(path);
    else if (ofName || ofContent) content.renewed(path);
  }

  /**
   * Names whose link count, which was `count`, may have changed: the event of one name says nothing of the others.
   */
  #uncounted(
    path: Path,
    { isDirectory, ofName }: ChangeElsewhere,
    found: Attributes | null | undefined,
    count: number,
  ): Iterable<Path> {
    const isSame = found ? found.nlink === count || !isRegular(found.mode) : count === 1 || !ofName;
    return isSame || isDirectory ? [] : [path, ...this.#parts.links.others(path)];
  }

  /** Names of the directory came or went, or it was changed itself. */
  #changedItself(directory: Path): void {
    if (!this.#vouching.isOwn(directory)) this.#parts.names.changedElsewhere(directory);
  }

  #known(directory: Path, remembered: Name | undefined): Known {
    if (remembered !== undefined)
      return remembered.attributes === undefined ? 'outdated' : remembered.attributes;
    // A listing knows of names that are not in it.
    return (this.#parts.names.held(directory)?.listedAt ?? null) === null ? undefined : null;
  }

  /** What was found, as programs would see it; undefined for what is not to be seen. */
  #seen(
    path: Path,
    found: Found | null | undefined,
    known: Attributes | null | undefined,
  ): Attributes | null | undefined {
    const { identity, links } = this.#parts;
    if (!found) return found;
    if (isHidden(identity, found)) return undefined;
    const attributes = toAttributes(identity, found, found.nlink);
    if (isRegular(attributes.mode) && found.nlink > 1) links.observe(path, attributes);
    // How many directories there are in one is known from its listing alone, and of no interest.
    return known && isDirectory(attributes.mode) ? { ...attributes, nlink: known.nlink } : attributes;
  }

  /** Asks whether names came to `directory` or went, and then for its listing. Never rejects. */
  async poll(directory: Path): Promise<void> {
    const { names, listings, clock } = this.#parts;
    try {
      const before = this.#polled.get(directory);
      const now = (await names.answers.ask(directory))?.mtime;
      const listedAt = names.held(directory)?.listedAt ?? null;
      if (now === undefined || listedAt === null) return;
      this.#polled.set(directory, now);
      // At first it is the time of the listing that counts; the server's clock is taken for ours.
      const asked = (clock.now() - clock.monotonic() + listedAt) / 1000;
      const hasChanged = before === undefined ? isRacy(now, asked) : before !== now;
      if (hasChanged && !listings.isListing(directory)) await listings.listAhead(directory);
    } catch (error) {
      log('%s: %s', decodeText(directory), error instanceof Error ? error.message : error);
    }
  }

  /** Finds out what has become of a file that is open, or is gone. */
  async #ask(path: Path): Promise<void> {
    if (this.#asking >= MAX_ASKING) return;
    this.#asking += 1;
    try {
      const { names, files, freshness, kernel } = this.#parts;
      const attributes = await names.answers.ask(path);
      const node = files.openAt(path);
      if (attributes === null || node === undefined) return;
      const { version } = node;
      await freshness.reconcile(path, attributes);
      if (node.version !== version) kernel?.invalidateData(path);
    } catch (error) {
      log('%s: %s', decodeText(path), error instanceof Error ? error.message : error);
    } finally {
      this.#asking -= 1;
    }
  }
}
