/**
 * A report that can be posted: users, hosts, addresses, keys and home directories become user1, host1 and so on, the
 * same thing always the same word, so that the report still tells which is which.
 */
import { isIP } from 'node:net';

export type Secret = 'user' | 'host' | 'key';

/** What may be an address; whether it is one, `isIP` says. */
const ADDRESS = /(?<![\w.:-])(?:\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)|[0-9a-f]*:[0-9a-f:]*(?:\.\d{1,3}){0,3})/gi;
const FINGERPRINT = /SHA256:[A-Za-z0-9+/]{43}/g;
const HOME = /\/(?:home|Users)\/([^/\s'":,;]+)/g;

export class Redactor {
  readonly #words = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  readonly #homes: readonly string[];

  /** `homes` are directories that become `~`. */
  constructor(homes: readonly string[]) {
    this.#homes = homes.filter((home) => home.length > 1).sort((a, b) => b.length - a.length);
  }

  /** `text` is to be left out wherever it stands as a word. */
  hide(kind: Secret, text: string): void {
    if (text !== '') this.#name(kind, text);
  }

  redact(text: string): string {
    let result = text;
    for (const home of this.#homes) {
      result = result.replace(new RegExp(`${escaped(home)}(?![\\w.-])`, 'g'), '~');
    }
    result = result.replace(HOME, (_, user: string) => `/home/${this.#name('user', user)}`);
    result = result.replace(FINGERPRINT, (print) => this.#name('key', print));
    const words = [...this.#words].sort(([a], [b]) => b.length - a.length);
    for (const [word, name] of words) {
      result = result.replace(new RegExp(`(?<![\\w-])${escaped(word)}(?![\\w-])`, 'gi'), name);
    }
    return result.replace(ADDRESS, (text) => (isIP(text) === 0 ? text : this.#name('address', text)));
  }

  #name(kind: Secret | 'address', text: string): string {
    const known = this.#words.get(text);
    if (known !== undefined) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    const name = `${kind}${count}`;
    this.#words.set(text, name);
    return name;
  }
}

const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
