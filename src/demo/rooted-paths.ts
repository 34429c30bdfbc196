/**
 * The paths clients see, in which the served directory is `/`. They are resolved by their text, so `..` never
 * leads above the root. Symlinks are served as they are, and the host follows them: this is the boundary of
 * a view, not of an account, whose rights the server has.
 */
import { realpath } from 'node:fs/promises';
import { ascii, type ByteString, bytesOf, encodeText, toBuffer } from '../base/bytes.js';
import { errnoNameOf } from './errno-status.js';

export class RootedPaths {
  /** Absolute, without symlinks and without a slash at its end; '' for the host's own root. */
  readonly #root: ByteString;

  private constructor(root: ByteString) {
    this.#root = root;
  }

  /** Serves `directory` of the host. */
  static async at(directory: string): Promise<RootedPaths> {
    const real = await realpath(directory);
    return new RootedPaths(real === '/' ? ascii('') : encodeText(real));
  }

  /** What the host calls `path`; relative ones begin at `/`. */
  toHost(path: ByteString): Buffer {
    const resolved = resolve(path);
    return toBuffer((resolved === '/' ? this.#root || '/' : this.#root + resolved) as ByteString);
  }

  /** `path` absolute and without symlinks, as REALPATH answers; its last part need not exist. */
  async realpath(path: ByteString): Promise<ByteString> {
    const resolved = resolve(path);
    try {
      return this.#fromHost(await realpath(this.toHost(resolved), { encoding: 'buffer' })) ?? resolved;
    } catch (error) {
      if (errnoNameOf(error) !== 'ENOENT' || resolved === '/') throw error;
      const slash = resolved.lastIndexOf('/');
      const parent = (slash === 0 ? '/' : resolved.slice(0, slash)) as ByteString;
      const real = this.#fromHost(await realpath(this.toHost(parent), { encoding: 'buffer' })) ?? parent;
      return (real === '/' ? resolved.slice(slash) : real + resolved.slice(slash)) as ByteString;
    }
  }

  /** What clients call a path of the host; null for one outside of the root. */
  #fromHost(host: Buffer): ByteString | null {
    const path = bytesOf(host);
    if (path === this.#root) return ascii('/');
    return path.startsWith(`${this.#root}/`) ? (path.slice(this.#root.length) as ByteString) : null;
  }
}

/** Absolute, without `.`, `..` and doubled slashes. */
function resolve(path: ByteString): ByteString {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}` as ByteString;
}
