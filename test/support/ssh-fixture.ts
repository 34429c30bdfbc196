/** What tests of connections share: a home directory, servers and connections that end with the test, a person. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { type Connection, connect } from '../../src/ssh/connection.js';
import { ConnectError, type ConnectErrorKind } from '../../src/ssh/errors.js';
import { formatKnownHost, knownHostName } from '../../src/ssh/known-hosts.js';
import { DIRECT } from '../../src/ssh/route.js';
import type { ConnectSettings, Prompter } from '../../src/ssh/settings.js';
import { makeKey, startSshServer, type TestServer, type TestServerOptions } from './ssh-test-server.js';

export const hostKey = makeKey('ed25519');
export const otherHostKey = makeKey('ed25519');
export const ecdsaKey = makeKey('ecdsa');
export const userKey = makeKey('ed25519');

export const PASSWORD = 'correct horse';

export interface Asked extends Prompter {
  readonly questions: string[];
  readonly told: string[];
}

/** Answers in order; what has no answer left is an error. Without answers there is nobody to ask. */
export function person(...answers: string[]): Asked {
  const questions: string[] = [];
  const told: string[] = [];
  const answer = async (question: string) => {
    questions.push(question);
    const next = answers[questions.length - 1];
    if (next === undefined) throw new Error(`no answer for ${question}`);
    return next;
  };
  return {
    questions,
    told,
    interactive: answers.length > 0,
    secret: answer,
    confirm: answer,
    info: (message) => void told.push(message),
  };
}

export function settings(port: number, changes: Partial<ConnectSettings> = {}): ConnectSettings {
  return {
    host: '127.0.0.1',
    originalHost: '127.0.0.1',
    port,
    user: 'bob',
    password: null,
    transport: 'ssh2',
    sshCommand: null,
    directPort: null,
    passive: false,
    route: DIRECT,
    addressFamily: 'any',
    bindAddress: null,
    bindInterface: null,
    tcpKeepAlive: true,
    identityFiles: [],
    identitiesOnly: false,
    certificateFiles: [],
    identityAgent: 'none',
    preferredAuthentications: ['publickey', 'keyboard-interactive', 'password'],
    numberOfPasswordPrompts: 3,
    batchMode: false,
    gssapiAuthentication: false,
    hostbasedAuthentication: false,
    pkcs11Provider: null,
    securityKeyProvider: null,
    controlMaster: 'no',
    controlPath: null,
    strictHostKeyChecking: 'yes',
    userKnownHostsFiles: ['~/.ssh/known_hosts'],
    globalKnownHostsFiles: [],
    hostKeyAlias: null,
    checkHostIp: false,
    hashKnownHosts: false,
    knownHostsCommand: null,
    revokedHostKeys: null,
    ciphers: [],
    kexAlgorithms: [],
    macs: [],
    hostKeyAlgorithms: [],
    pubkeyAcceptedAlgorithms: [],
    connectTimeout: 10,
    serverAliveInterval: 15,
    serverAliveCountMax: 3,
    compression: false,
    sftpServer: 'sftp',
    configFile: null,
    sshOptions: [],
    ...changes,
  };
}

export async function failure(attempt: Promise<unknown>, kind: ConnectErrorKind): Promise<string> {
  const error = await attempt.then(
    () => new Error('it succeeded'),
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(ConnectError);
  expect(error).toMatchObject({ kind });
  return (error as ConnectError).message;
}

/** Registers its own hooks; use one per test file. */
export class SshFixture {
  readonly #cleanups: (() => Promise<void>)[] = [];
  #home = '';

  constructor() {
    beforeEach(() => {
      this.#home = mkdtempSync(join(tmpdir(), 'remora-ssh-'));
    });
    afterEach(async () => {
      for (const cleanup of this.#cleanups.splice(0).reverse()) await cleanup();
      rmSync(this.#home, { recursive: true, force: true });
    });
  }

  get home(): string {
    return this.#home;
  }

  get knownHosts(): string {
    return join(this.#home, '.ssh/known_hosts');
  }

  /** Runs when the test is over, latest first. */
  onEnd(cleanup: () => Promise<void>): void {
    this.#cleanups.push(cleanup);
  }

  async serve(options: Partial<TestServerOptions> = {}): Promise<TestServer> {
    const server = await startSshServer({ hostKeys: [hostKey.private], password: PASSWORD, ...options });
    this.onEnd(() => server.close());
    return server;
  }

  trust(port: number, key = hostKey): void {
    mkdirSync(join(this.#home, '.ssh'), { recursive: true, mode: 0o700 });
    writeFileSync(this.knownHosts, formatKnownHost(knownHostName('127.0.0.1', port), key.blob));
  }

  keyFile(contents: string, mode = 0o600, name = 'key'): string {
    const path = join(this.#home, name);
    writeFileSync(path, contents);
    chmodSync(path, mode);
    return path;
  }

  async reach(
    given: ConnectSettings,
    who: Prompter = person(),
    environment: Record<string, string> = {},
  ): Promise<Connection> {
    const connection = await connect(given, who, { home: this.#home, environment });
    this.onEnd(() => connection.close());
    return connection;
  }

  /** Connects to a server that is known. */
  login(
    server: TestServer,
    changes: Partial<ConnectSettings> = {},
    who: Prompter = person(),
  ): Promise<Connection> {
    this.trust(server.port);
    return this.reach(settings(server.port, changes), who);
  }
}
