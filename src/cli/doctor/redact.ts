/**
 * A report that can be posted: users, hosts, addresses, keys and home directories become user1, host1 and so on, the
 * same thing always the same word, so that the report still tells which is which.
 */
import { isIP } from 'node:net';

export type Secret = 'user' | 'host' | 'command' | 'session';
type Kind = Secret | 'address' | 'key';

/** What may be an address; whether it is one, `isIP` says. */
const ADDRESS = /(?<![\w.:-])(?:\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)|[0-9a-f]*:[0-9a-f:]*(?:\.\d{1,3}){0,3})/gi;
/** Fingerprints of either kind, keys as they stand in files, and names in known_hosts that are hashed. */
const KEY =
  /SHA256:[A-Za-z0-9+/]{43}|MD5(?::[0-9a-f]{2}){16}|AAAA[A-Za-z0-9+/]{24,}={0,2}|\|1\|[A-Za-z0-9+/=|]+/g;
const HOME = /\/(?:home|Users)\/([^/\s'":,;]+)/g;
/** What a host name goes on with in either direction. */
const DOMAIN = '(?:\\.[a-z0-9-]+)*';
const SUBDOMAIN = '(?:[a-z0-9-]+\\.)*';

export class Redactor {
  readonly #words = new Map<string, Kind>();
  /** By what is replaced, in lower case. */
  readonly #names = new Map<string, string>();
  readonly #counts = new Map<Kind, number>();
  readonly #homes: readonly string[];

  /** `homes` are directories that become `~`. */
  constructor(homes: readonly string[]) {
    this.#homes = homes.filter((home) => home.length > 1).sort((a, b) => b.length - a.length);
  }

  /** `text` is to be left out wherever it stands as a word; a number is none, since it may be anything. */
  hide(kind: Secret, text: string): void {
    if (text === '' || /^\d+$/.test(text) || this.#words.has(text)) return;
    this.#words.set(text, kind);
    this.#name(kind, text);
  }

  redact(text: string): string {
    let result = text;
    for (const home of this.#homes) {
      result = result.replace(new RegExp(`${escaped(home)}(?![\\w.-])`, 'g'), '~');
    }
    result = result.replace(KEY, (key) => this.#name('key', key));
    result = this.#withoutWords(result);
    result = result.replace(HOME, (all, user: string) => {
      return /^user\d+$/.test(user) ? all : `/home/${this.#name('user', user)}`;
    });
    return result.replace(ADDRESS, (found) => (isIP(found) === 0 ? found : this.#name('address', found)));
  }

  /** All in one go, so that nothing is looked for in what stands there instead. */
  #withoutWords(text: string): string {
    const words = [...this.#words].sort(([a], [b]) => b.length - a.length);
    if (words.length === 0) return text;
    const alternatives = words.map(([word, kind]) => {
      const isName = kind === 'host' && isIP(word) === 0;
      return isName ? `${SUBDOMAIN}${escaped(word)}${DOMAIN}` : escaped(word);
    });
    const pattern = new RegExp(`(?<![a-z0-9])(?:${alternatives.join('|')})(?![a-z0-9])`, 'gi');
    return text.replace(pattern, (found) => {
      const known = words.find(([word]) => found.toLowerCase().includes(word.toLowerCase()));
      return this.#name(known?.[1] ?? 'host', found);
    });
  }

  #name(kind: Kind, text: string): string {
    const key = text.toLowerCase();
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    const name = `${kind}${count}`;
    this.#names.set(key, name);
    return name;
  }
}

const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
