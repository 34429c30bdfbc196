/**
 * Is this the server it was? Reads the known_hosts files once, decides about the key that the handshake
 * shows, asks where the settings say so, and adds what was accepted. A key is shown again at every rekey, and
 * by every further connection; then it must be the one accepted before. After a reconnect it may be another one,
 * where the files, read anew, vouch for it, or a person does.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname } from 'node:path';
import { logger } from '../base/log.js';
import { printable } from '../base/printable.js';
import { ConnectError, type ConnectErrorKind, describeServer } from './errors.js';
import {
  fingerprint,
  formatKnownHost,
  hashedName,
  judge,
  type KnownHost,
  keyTypeLabel,
  keyTypeOf,
  knownHostName,
  knownKeyTypes,
  parseKnownHosts,
  SALT_LENGTH,
  type Verdict,
} from './known-hosts.js';
import { type ConnectSettings, expandHome, type Prompter, type Surroundings } from './settings.js';

const log = logger('ssh');

/** How often a question about a host key is asked before an answer that is none counts as no. */
const MAX_QUESTIONS = 5;

/** Signature algorithms of each key type, best first. DSA is left out: nothing should use it. */
const ALGORITHMS = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'],
} as const;

/** What would mean something else in a file of known hosts; brackets stand around an address with a port. */
const UNWRITABLE = /[@?*#|'"\\,\s]/;

export type HostKeyAlgorithm = (typeof ALGORITHMS)[keyof typeof ALGORITHMS][number];

export class HostKeys {
  readonly #settings: ConnectSettings;
  readonly #entries: readonly KnownHost[];
  /** File that accepted keys are added to, or null for none. */
  readonly #addTo: string | null;
  readonly #name: string;
  /** The name without its port: what is known there is good for another port of the host too. */
  readonly #plainName: string;
  /** The key of the connection that was there before. */
  readonly #former: Buffer | null;
  #accepted: Buffer | null = null;

  private constructor(
    settings: ConnectSettings,
    entries: readonly KnownHost[],
    addTo: string | null,
    former: Buffer | null,
  ) {
    this.#settings = settings;
    this.#entries = entries;
    this.#addTo = addTo;
    this.#former = former;
    const alias = settings.hostKeyAlias?.toLowerCase() ?? null;
    this.#name = alias ?? knownHostName(settings.host, settings.port);
    this.#plainName = alias ?? knownHostName(settings.host, 22);
  }

  /** `former` is the key that was accepted at the latest connection. */
  static async load(
    settings: ConnectSettings,
    { home }: Surroundings,
    former: Buffer | null = null,
  ): Promise<HostKeys> {
    const paths = (files: readonly string[]) =>
      files.filter((file) => file !== 'none').map((file) => expandHome(file, home));
    const user = paths(settings.userKnownHostsFiles);
    const entries: KnownHost[] = [];
    for (const file of [...user, ...paths(settings.globalKnownHostsFiles)]) {
      try {
        entries.push(...parseKnownHosts(await readFile(file, 'utf8'), file));
      } catch (error) {
        log('cannot read %s: %s', file, error instanceof Error ? error.message : error);
      }
    }
    return new HostKeys(settings, entries, user[0] ?? null, former);
  }

  /** For a new first connection: what the files say now, and the key that was accepted. */
  renewed(surroundings: Surroundings): Promise<HostKeys> {
    return HostKeys.load(this.#settings, surroundings, this.#accepted ?? this.#former);
  }

  /** Algorithms to ask the server for first, so that it shows a key we know when it has several. */
  preferredAlgorithms(): HostKeyAlgorithm[] {
    const own = knownKeyTypes(this.#entries, this.#name);
    const known = own.length > 0 ? own : knownKeyTypes(this.#entries, this.#plainName);
    const accepted = this.#accepted === null ? null : keyTypeOf(this.#accepted);
    const former = this.#former === null ? null : keyTypeOf(this.#former);
    const isFormerGood = former !== null && (known.length === 0 || known.includes(former));
    const types = accepted !== null ? [accepted] : isFormerGood ? [former] : known;
    return Object.entries(ALGORITHMS).flatMap(([type, algorithms]) => {
      return types.includes(type) ? algorithms : [];
    });
  }

  /** Is this the key that was trusted before, on this connection or an earlier one? */
  isAccepted(key: Buffer): boolean {
    return this.#accepted?.equals(key) ?? false;
  }

  /**
   * Returns when `key` may be trusted.
   * @param address the server's, or its name where that is not known
   * @throws ConnectError of a host-key kind
   */
  async verify(key: Buffer, address: string, prompter: Prompter): Promise<void> {
    if (this.isAccepted(key)) return;
    if (this.#accepted !== null) throw this.#another(key, this.#accepted);
    const verdict = this.judge(key);
    log('host key %s of %s is %s', fingerprint(key), this.#name, verdict.kind);
    const isFormer = this.#former?.equals(key) === true;
    if (verdict.kind === 'revoked') throw this.#revoked(key, verdict.entry);
    if (!isFormer) {
      if (verdict.kind === 'changed') throw this.#changed(key, verdict.entry);
      if (verdict.kind === 'certified' && !this.#trustsAnything) throw this.#certified(key, verdict.entry);
      const isKnown = verdict.kind === 'known';
      if (!isKnown) await this.#decide(key, address, prompter);
      const further = await this.#checkAddress(key, address, isKnown, prompter);
      await this.#remember(key, isKnown ? further : [this.#name, ...further], prompter);
    }
    this.#accepted = Buffer.from(key);
  }

  /** The name under which the server is looked up and remembered. */
  get name(): string {
    return this.#name;
  }

  get #server(): string {
    return describeServer(this.#settings.host, this.#settings.port);
  }

  /** What the files say of `key`, for this server. */
  judge(key: Buffer): Verdict {
    const verdict = judge(this.#entries, this.#name, key);
    if (verdict.kind !== 'unknown' && verdict.kind !== 'certified') return verdict;
    const elsewhere = judge(this.#entries, this.#plainName, key);
    if (elsewhere.kind === 'changed' || elsewhere.kind === 'unknown') return verdict;
    return elsewhere;
  }

  get #trustsAnything(): boolean {
    const { strictHostKeyChecking } = this.#settings;
    return strictHostKeyChecking === 'no' || strictHostKeyChecking === 'off';
  }

  /**
   * CheckHostIP (ssh_config(5)): the key must fit what is known for the server's address too.
   * @returns the name of an address that is to be remembered
   */
  async #checkAddress(key: Buffer, address: string, isKnown: boolean, prompter: Prompter): Promise<string[]> {
    const { checkHostIp, host, port, route, strictHostKeyChecking } = this.#settings;
    const isDirect = route.proxy === null && route.hops.length === 0;
    const isOwnName = address === host || isIP(address) === 0;
    if (!checkHostIp || !isDirect || isOwnName || isLoopback(address)) return [];
    const name = knownHostName(address, port);
    const verdict = judge(this.#entries, name, key);
    if (verdict.kind === 'unknown') {
      // What is known without the port only is not written down, as with ssh.
      return isKnown && judge(this.#entries, this.#name, key).kind !== 'known' ? [] : [name];
    }
    if (verdict.kind === 'revoked') throw this.#revoked(key, verdict.entry);
    if (verdict.kind !== 'changed') return [];
    const { entry } = verdict;
    const differs =
      `${this.#server} shows the ${describeKey(key)}, but for its address ${address} ${entry.file}:${entry.line} ` +
      `has the ${describeKey(entry.key)}`;
    const mayAsk = strictHostKeyChecking === 'ask' && prompter.interactive;
    if (mayAsk || this.#trustsAnything) prompter.info(`Warning: ${differs}.`);
    const question = 'Are you sure you want to continue connecting (yes/no)? ';
    if (this.#trustsAnything || (mayAsk && (await confirmed(prompter, question, null)))) return [];
    const remedy = removal(entry, name);
    throw new ConnectError('host-key-changed', `${differs}; if that is out of date, run: ${remedy}`);
  }

  #revoked(key: Buffer, entry: KnownHost): ConnectError {
    return new ConnectError(
      'host-key-revoked',
      `${this.#server} shows the ${describeKey(key)}, which ${entry.file}:${entry.line} revokes`,
    );
  }

  #changed(key: Buffer, entry: KnownHost): ConnectError {
    return new ConnectError(
      'host-key-changed',
      `the host key of ${this.#server} has changed: it shows the ${describeKey(key)}, but ${entry.file}:${entry.line} ` +
        `has the ${describeKey(entry.key)}. Someone may be listening in, or the server ` +
        `was installed anew; in that case run: ${removal(entry, this.#name)}`,
    );
  }

  #certified(key: Buffer, entry: KnownHost): ConnectError {
    return new ConnectError(
      'host-certificate',
      `the host key of ${this.#server} (${keyTypeLabel(keyTypeOf(key))}, ${fingerprint(key)}) is not known by itself, ` +
        `and only the ssh program can check the certificate that ${entry.file}:${entry.line} speaks of: ` +
        'use -o transport=openssh',
    );
  }

  #another(key: Buffer, before: Buffer): ConnectError {
    return new ConnectError(
      'host-key-changed',
      `${this.#server} shows the key ${fingerprint(key)}, and before it was ${fingerprint(before)}`,
    );
  }

  /** An unknown key: what the settings say, or the person. In the place of another one, only the person. */
  async #decide(key: Buffer, address: string, prompter: Prompter): Promise<void> {
    if (this.#former !== null) {
      const mayAsk = this.#settings.strictHostKeyChecking === 'ask' && prompter.interactive;
      if (!mayAsk) throw this.#another(key, this.#former);
      prompter.info(`Warning: until now the server had another key, ${fingerprint(this.#former)}.`);
    }
    switch (this.#settings.strictHostKeyChecking) {
      case 'yes':
        throw this.#unknown(key, 'StrictHostKeyChecking is yes');
      case 'ask':
        if (!prompter.interactive) throw this.#unknown(key, 'there is nobody to ask');
        if (!(await this.#ask(key, address, prompter))) {
          throw new ConnectError('host-key-unknown', `the host key of ${this.#server} was not accepted`);
        }
        break;
      case 'accept-new':
        break;
      default:
        prompter.info(
          `Warning: StrictHostKeyChecking is off, so the key of ${this.#server} is trusted unseen.`,
        );
    }
  }

  #unknown(key: Buffer, why: string): ConnectError {
    const port = this.#settings.port === 22 ? '' : `-p ${this.#settings.port} `;
    const kind: ConnectErrorKind = 'host-key-unknown';
    return new ConnectError(
      kind,
      `the host key of ${this.#server} (${keyTypeLabel(keyTypeOf(key))}, ${fingerprint(key)}) is not known, and ${why}; ` +
        `connect once with: ssh ${port}${printable(this.#settings.host)}, or use -o StrictHostKeyChecking=accept-new`,
    );
  }

  async #ask(key: Buffer, address: string, prompter: Prompter): Promise<boolean> {
    const shownAddress = knownHostName(address, this.#settings.port);
    const print = fingerprint(key);
    const names = this.#entries.filter((entry) => entry.marker === 'none' && entry.key.equals(key));
    const others = names.map(({ file, line, hosts }) => {
      return `    ${file}:${line}: ${hosts.startsWith('|') ? '[hashed name]' : printable(hosts)}`;
    });
    // All in the question itself: where a window asks, nothing else is seen.
    const question = [
      `The authenticity of host '${printable(this.#name)} (${shownAddress})' can't be established.`,
      `${keyTypeLabel(keyTypeOf(key))} key fingerprint is ${print}.`,
      ...(others.length === 0
        ? ['This key is not known by any other names.']
        : ['This host key is known by the following other names/addresses:', ...others.slice(0, 8)]),
      'Are you sure you want to continue connecting (yes/no/[fingerprint])? ',
    ].join('\n');
    return confirmed(prompter, question, print);
  }

  /** Failing to write is worth a word, not the connection: ssh does the same. */
  async #remember(key: Buffer, names: readonly string[], prompter: Prompter): Promise<void> {
    const written = names.filter((name) => !UNWRITABLE.test(name));
    if (this.#addTo === null || written.length === 0) return;
    const { hashKnownHosts } = this.#settings;
    const hosts = hashKnownHosts
      ? written.map((name) => hashedName(name, randomBytes(SALT_LENGTH)))
      : [written.join(',')];
    try {
      await append(this.#addTo, hosts.map((each) => formatKnownHost(each, key)).join(''));
      const label = keyTypeLabel(keyTypeOf(key));
      prompter.info(`Permanently added '${printable(written.join(','))}' (${label}) to ${this.#addTo}.`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      prompter.info(`Cannot add the host key to ${this.#addTo}: ${reason}`);
    }
  }
}

/** Whether the person answers yes, or with the fingerprint that was shown. */
async function confirmed(prompter: Prompter, question: string, print: string | null): Promise<boolean> {
  let asking = question;
  for (let asked = 0; asked < MAX_QUESTIONS; asked++) {
    const answer = (await prompter.confirm(asking)).trim();
    if (answer.toLowerCase() === 'yes' || answer === print) return true;
    if (answer.toLowerCase() === 'no') return false;
    asking = `Please type 'yes'${print === null ? " or 'no'" : ", 'no' or the fingerprint"}: `;
  }
  return false;
}

function describeKey(key: Buffer): string {
  return `${keyTypeLabel(keyTypeOf(key))} key ${fingerprint(key)}`;
}

/** The command that takes `name` out of the file of a line. */
export function removal({ file, line, isPutty }: KnownHost, name: string): string {
  if (isPutty) return `sed -i ${line}d '${file}'`;
  return `ssh-keygen -f '${file}' -R '${printable(name)}'`;
}

/** An address of this machine's own, where a key of another machine is of no meaning. */
function isLoopback(address: string): boolean {
  return /^(?:127\.|::1$|::ffff:127\.)/.test(address);
}

/** Appends in one write, on lines of their own even when the file lacks its last newline. */
async function append(file: string, lines: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(file, 'a+', 0o600);
  try {
    const { size } = await handle.stat();
    const last = Buffer.alloc(1);
    if (size > 0) await handle.read(last, 0, 1, size - 1);
    const separator = size > 0 && last[0] !== 0x0a ? '\n' : '';
    await handle.appendFile(separator + lines);
  } finally {
    await handle.close();
  }
}
