/**
 * The configuration file: `[defaults]`, `[host."pattern"]` and `[mount.name]`, each with options as `-o` has them. A
 * value becomes the word that would stand on the command line and is read by the option's own reader, so nothing is
 * allowed here that is not allowed there. The whole file is checked when it is read.
 */
import { matchesWildcard } from '../base/wildcard.js';
import { OptionError } from './errors.js';
import { nearest } from './nearest.js';
import {
  findOption,
  knownNames,
  mergeOptions,
  type OptionWord,
  type ParsedOptions,
  parseWords,
  takesYesOrNo,
} from './parse.js';
import { isTable, lineOf, parseToml, type TomlTable } from './toml.js';

export interface NamedMount {
  readonly name: string;
  readonly source: string;
  /** Absolute, or beginning with `~/`. */
  readonly mountpoint: string;
  /** Of its own section alone. */
  readonly options: ParsedOptions;
  /** Left out when all are mounted. */
  readonly noauto: boolean;
}

interface HostSection {
  /** As ssh's Host: separated by spaces, `!` negates. */
  readonly patterns: readonly string[];
  readonly options: ParsedOptions;
}

export interface ConfigFile {
  readonly path: string;
  readonly defaults: ParsedOptions;
  /** In the order of the file. */
  readonly hosts: readonly HostSection[];
  readonly mounts: readonly NamedMount[];
}

export const NO_OPTIONS: ParsedOptions = { given: {}, sshWords: [] };

const SECTIONS = ['defaults', 'host', 'mount'];

/** What a mount has beside options, as it is written. */
const OF_A_MOUNT = {
  source: 'source = "[user@]host:[dir]"',
  mountpoint: 'mountpoint = "DIRECTORY"',
} as const;

/** Names that people look for in such a file, and that would be readable to whoever reads it. */
const SECRETS: ReadonlySet<string> = new Set(['password', 'passphrase', 'passwd', 'pass', 'secret']);

/** Options whose value may hold a password. */
const PROXIES = ['http_proxy', 'socks_proxy'];

/**
 * @param path for people
 * @param isPrivate nobody else can read the file
 * @throws OptionError that names file and line
 */
export function parseConfigFile(text: string, path: string, isPrivate: boolean): ConfigFile {
  return new Reader(text, path, isPrivate).read();
}

/** The mount called `name`; that of an earlier file counts. */
export function findMount(files: readonly ConfigFile[], name: string): NamedMount | null {
  return allMounts(files).find((mount) => mount.name === name) ?? null;
}

/** Every mount that has a name, once. */
export function allMounts(files: readonly ConfigFile[]): readonly NamedMount[] {
  const found = new Map<string, NamedMount>();
  for (const mount of files.flatMap(({ mounts }) => mounts)) {
    if (!found.has(mount.name)) found.set(mount.name, mount);
  }
  return [...found.values()];
}

/** What `files` say of `host`, as typed in a source. What stands further up in them counts before the rest. */
export function optionsForHost(files: readonly ConfigFile[], host: string): ParsedOptions {
  const sections = files.flatMap(({ hosts, defaults }) => {
    return [
      ...hosts.filter(({ patterns }) => isMeant(patterns, host)).map(({ options }) => options),
      defaults,
    ];
  });
  return sections.reduce(mergeOptions, NO_OPTIONS);
}

function isMeant(patterns: readonly string[], host: string): boolean {
  const name = host.toLowerCase();
  const matches = (pattern: string) => matchesWildcard(pattern.toLowerCase(), name);
  const isExcluded = patterns.some((pattern) => pattern.startsWith('!') && matches(pattern.slice(1)));
  return !isExcluded && patterns.some((pattern) => !pattern.startsWith('!') && matches(pattern));
}

class Reader {
  readonly #text: string;
  readonly #path: string;
  readonly #isPrivate: boolean;

  constructor(text: string, path: string, isPrivate: boolean) {
    this.#text = text;
    this.#path = path;
    this.#isPrivate = isPrivate;
  }

  read(): ConfigFile {
    const file = parseToml(this.#text, this.#path);
    for (const [key, value] of Object.entries(file)) {
      if (!SECTIONS.includes(key)) this.#refuseSection(key, value);
      if (!isTable(value)) this.#fail([key], `'${key}' is a section: write [${key}]`);
    }
    return {
      path: this.#path,
      defaults: this.#options(['defaults'], this.#section(file, 'defaults')),
      hosts: this.#each(file, 'host', (keys, pattern, table) => {
        const patterns = pattern.split(/[\s,]+/).filter((each) => each !== '');
        if (patterns.length === 0) this.#fail(keys, 'a host section needs a name or a pattern');
        return { patterns, options: this.#options(keys, table) };
      }),
      mounts: this.#each(file, 'mount', (keys, name, table) => this.#mount(keys, name, table)),
    };
  }

  #section(file: TomlTable, name: string): TomlTable {
    const value = file[name];
    return isTable(value) ? value : {};
  }

  #each<T>(
    file: TomlTable,
    kind: 'host' | 'mount',
    read: (keys: readonly string[], name: string, table: TomlTable) => T,
  ): readonly T[] {
    return Object.entries(this.#section(file, kind)).map(([name, table]) => {
      const keys = [kind, name];
      if (!isTable(table))
        this.#fail(keys, `'${name}' is outside of a section: write [${kind}.NAME] above it`);
      return read(keys, name, table);
    });
  }

  #mount(keys: readonly string[], name: string, table: TomlTable): NamedMount {
    if (!/^[\w.][\w.@+-]*$/.test(name)) {
      this.#fail(keys, `'${name}' cannot be the name of a mount: it is of letters, digits and . _ - + @`);
    }
    // What is there comes before what is missing, since one may be the other, mistyped.
    const source = this.#ownText(keys, table, 'source');
    const mountpoint = this.#ownText(keys, table, 'mountpoint');
    const { source: _, mountpoint: __, ...others } = table;
    const options = this.#options(keys, others, Object.keys(OF_A_MOUNT));
    if (source === null) this.#fail(keys, `the mount '${name}' needs a ${OF_A_MOUNT.source}`);
    if (mountpoint === null) this.#fail(keys, `the mount '${name}' needs a ${OF_A_MOUNT.mountpoint}`);
    if (!/^(\/|~\/)/.test(mountpoint)) {
      this.#fail([...keys, 'mountpoint'], `the mount point '${mountpoint}' must begin with / or ~/`);
    }
    return { name, source, mountpoint, options, noauto: others.noauto === true };
  }

  /** Null where it is missing. */
  #ownText(keys: readonly string[], table: TomlTable, name: keyof typeof OF_A_MOUNT): string | null {
    const value = table[name];
    if (value === undefined) return null;
    if (typeof value === 'string' && value !== '') return value;
    return this.#fail([...keys, name], `write '${name}' as a text: ${OF_A_MOUNT[name]}`);
  }

  /** @param others names of what may stand beside options, for the hint on a mistyped one */
  #options(keys: readonly string[], table: TomlTable, others: readonly string[] = []): ParsedOptions {
    const words: OptionWord[] = [];
    for (const [name, value] of Object.entries(table)) {
      const own = this.#words([...keys, name], name, value);
      try {
        parseWords(own);
      } catch (error) {
        if (!(error instanceof OptionError)) throw error;
        const guess = nearest(name, [...others, ...knownNames()]);
        const isOther = guess !== null && others.includes(guess);
        const what = isOther ? `'${name}' is unknown here: did you mean '${guess}'?` : error.message;
        this.#fail([...keys, name], what);
      }
      words.push(...own);
    }
    return parseWords(words);
  }

  #words(keys: readonly string[], name: string, value: unknown): readonly OptionWord[] {
    if (SECRETS.has(name.toLowerCase())) {
      this.#fail(keys, 'no password is kept in this file: use a key, an agent, or password_stdin');
    }
    if (Array.isArray(value)) return this.#list(keys, name, value);
    if (typeof value !== 'boolean') return [{ name, value: this.#scalar(keys, name, value) }];
    if (takesYesOrNo(name)) return [{ name, value: value ? 'yes' : 'no' }];
    if (!value) this.#fail(keys, `'${name}' cannot be false: leave it out`);
    return [{ name, value: null }];
  }

  #list(keys: readonly string[], name: string, values: readonly unknown[]): readonly OptionWord[] {
    const option = findOption(name);
    const items = values.map((item) => this.#scalar(keys, name, item));
    if (option?.repeatable === true) return items.map((value) => ({ name, value }));
    if (option?.type === 'list') return [{ name, value: items.join(',') }];
    if (option?.type === 'files') {
      const value = items.map((item) => (/\s/.test(item) ? `"${item}"` : item)).join(' ');
      return [{ name, value }];
    }
    return this.#fail(keys, `option '${name}' takes one value, not several`);
  }

  #scalar(keys: readonly string[], name: string, value: unknown): string {
    if (typeof value === 'string') return this.#textOf(keys, name, value);
    if (typeof value === 'number' || typeof value === 'bigint') return String(value);
    if (isTable(value) && keys[0] === 'host') {
      this.#fail(keys, `a name with dots stands in quotes: [host."${keys.slice(1).join('.')}"]`);
    }
    return this.#fail(keys, `option '${name}' is a text, a number, true or false`);
  }

  #textOf(keys: readonly string[], name: string, value: string): string {
    const isProxy = PROXIES.some((proxy) => findOption(name)?.names.includes(proxy));
    if (isProxy && !this.#isPrivate && /:[^/@]*@/.test(value)) {
      this.#fail(keys, `others can read this file, and '${name}' holds a password: chmod 600 ${this.#path}`);
    }
    return value;
  }

  #refuseSection(key: string, value: unknown): never {
    const guess = nearest(key, SECTIONS);
    if (isTable(value)) {
      const hint = guess === null ? `there are ${SECTIONS.join(', ')}` : `did you mean [${guess}]?`;
      this.#fail([key], `unknown section [${key}]: ${hint}`);
    }
    this.#fail([key], `'${key}' is outside of a section: write [defaults] above it`);
  }

  #fail(keys: readonly string[], message: string): never {
    throw new OptionError(`${this.#path}:${lineOf(this.#text, keys)}: ${message}`);
  }
}
