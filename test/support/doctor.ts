/**
 * A doctor's practice: servers that are ill in one way each, and what `remora doctor` says of them. Each diagnosis is
 * made a second time with `--redact`, and nothing of what has to be left out may stand in any field of that.
 */
import { readFile } from 'node:fs/promises';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { expect } from 'vitest';
import type { Finding } from '../../src/cli/doctor/finding.js';
import { authorize } from './dropbear.js';
import { Remora } from './remora.js';
import type { RunOptions } from './run.js';
import { Scope } from './scope.js';
import type { Server } from './server.js';
import { Sshd, type SshdOptions } from './sshd.js';
import { createUser, type SystemUser } from './user.js';

export interface Diagnosis {
  readonly code: number | null;
  readonly cause: Finding | null;
  readonly findings: readonly Finding[];
}

export class Practice {
  readonly scope: Scope;
  readonly remora: Remora;
  readonly user: SystemUser;
  /** Takes the user's key with sshd's own strictness, and the user's password. */
  readonly strict: Sshd;

  private constructor(scope: Scope, remora: Remora, user: SystemUser, strict: Sshd) {
    this.scope = scope;
    this.remora = remora;
    this.user = user;
    this.strict = strict;
  }

  static async open(name: string): Promise<Practice> {
    const scope = await Scope.open(name);
    try {
      const remora = await Remora.create(scope);
      const user = await createUser(scope);
      const config = ['AuthorizedKeysFile .ssh/authorized_keys', 'StrictModes yes'];
      const strict = await Sshd.start(scope, { user: user.name, config });
      await authorize(user, await readFile(`${strict.keyFile}.pub`, 'utf8'));
      return new Practice(scope, remora, user, strict);
    } catch (error) {
      await scope.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.scope.close();
  }

  serve(options: SshdOptions = {}): Promise<Sshd> {
    return Sshd.start(this.scope, { user: this.user.name, ...options });
  }

  async diagnose(args: readonly string[], options: RunOptions = {}): Promise<Diagnosis> {
    const [plain, redacted] = await Promise.all([
      this.remora.run(['doctor', '--json', ...args], options),
      this.remora.run(['doctor', '--json', '--redact', ...args], options),
    ]);
    if (plain.stdout === '') throw new Error(plain.stderr);
    expect(plain.stderr).not.toMatch(/^\s+at /m);
    this.expectRedacted(redacted.stdout);
    return { code: plain.code, ...JSON.parse(plain.stdout) };
  }

  expectRedacted(text: string): void {
    for (const secret of [this.user.name, '127.0.0.1', hostname(), 'root', this.remora.home]) {
      const word = secret.replace(/[.]/g, '\\.');
      expect(text).not.toMatch(new RegExp(`(?<![a-z0-9])${word}(?![a-z0-9])`, 'i'));
    }
    expect(text).not.toMatch(/SHA256:|AAAA[A-Za-z0-9+/]{24}/);
  }

  /** Later values count. */
  async visit(server: Server, args: readonly string[] = [], options: RunOptions = {}): Promise<Diagnosis> {
    return this.diagnose([at(server), ...(await this.remora.login(server)), ...args], options);
  }

  /** With the password on standard input, beside the key. */
  withPassword(server: Server, password = this.user.password): Promise<Diagnosis> {
    return this.visit(server, ['-o', 'password_stdin'], { input: `${password}\n` });
  }

  /** Logging in to `server` without its key, and without one of this machine's. */
  keyless(server: Server, args: readonly string[] = [], options: RunOptions = {}): Promise<Diagnosis> {
    return this.diagnose([at(server), '-p', String(server.port), '-o', known(server), ...args], options);
  }

  /** A server on loopback that is no SSH server; answers its port. */
  async odd(talk: (socket: Socket) => void, host = '127.0.0.1'): Promise<number> {
    const sockets = new Set<Socket>();
    const server: NetServer = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      talk(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    this.scope.defer('odd server', async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  }
}

export const at = (server: Server, directory = ''): string => `${server.user}@${server.host}:${directory}`;

export function known(server: Server): string {
  return `ssh_config=none,UserKnownHostsFile=${server.knownHosts},GlobalKnownHostsFile=none,StrictHostKeyChecking=yes`;
}

/** The beginning of a pasted command that logs in to `server` with what `visit` or `keyless` has given, and `words`. */
export function pasted(server: Server, words: readonly string[] = [], program = 'ssh'): string {
  const options = words.flatMap((each) => ['-o', each]).join(' ');
  return `${program} -p ${server.port} -F none ${options}`.trimEnd();
}

export function expectCause(diagnosis: Diagnosis, id: string, remedy: RegExp | string): void {
  const { cause, code } = diagnosis;
  expect({ code, id: cause?.id, remedy: cause?.remedy }, cause?.what).toEqual({
    code: 1,
    id,
    remedy: typeof remedy === 'string' ? remedy : expect.stringMatching(remedy),
  });
}
