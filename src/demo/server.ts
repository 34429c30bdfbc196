/**
 * The embedded SSH server: one directory over SFTP on a random port of the loopback interface, with a host
 * key made for the occasion, for the demo and the tests. Shells, commands and forwardings are refused.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import ssh2, { type AuthContext, type Connection, type ParsedKey, type Session } from 'ssh2';
import { logger } from '../base/log.js';
import type { Service } from './answers.js';
import { generateKeyPair } from './keys.js';
import { prepareService, type SftpServerOptions, SftpSession } from './sftp-server.js';

const log = logger('server');

export interface ServerOptions extends SftpServerOptions {
  /** The only user who may log in. */
  readonly user: string;
  readonly password?: string;
  /** A public key in the form of authorized_keys, `ssh-ed25519 AAAA…`. */
  readonly authorizedKey?: string;
  /** Most connections at a time, and most SFTP sessions on each; more are turned away. No bound unless given. */
  readonly maxConnections?: number;
  readonly maxSessions?: number;
}

export interface RunningServer {
  readonly port: number;
  /** The host's public key, `ssh-ed25519 AAAA…`, as it stands in known_hosts after the name. */
  readonly hostKey: string;
  /** Cuts every connection at once, as a failing network does; new ones are welcome. */
  dropConnections(): void;
  /** Stops listening, and cuts every connection. */
  close(): Promise<void>;
}

/** Starts to serve `options.root` on 127.0.0.1. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const service = await prepareService(options);
  const login = new Login(options);
  const hostKey = generateKeyPair();
  const sockets = new Set<Socket>();
  const ssh = new ssh2.Server({ hostKeys: [hostKey.private] }, (connection) => {
    serveConnection(connection, login, service, options.maxSessions ?? Infinity);
  });
  const listener = createServer({ noDelay: true }, (socket) => {
    if (sockets.size >= (options.maxConnections ?? Infinity)) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    ssh.injectSocket(socket);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const dropConnections = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (listener.address() as AddressInfo).port,
    hostKey: hostKey.public.trim(),
    dropConnections,
    async close() {
      const closed = once(listener, 'close');
      listener.close();
      dropConnections();
      await closed;
    },
  };
}

function serveConnection(connection: Connection, login: Login, service: Service, maxSessions: number): void {
  const sessions = new Set<SftpSession>();
  connection.on('authentication', (context) => login.decide(context));
  connection.on('error', (error: Error) => log('connection: %s', error.message));
  connection.on('session', (accept, refuse) => {
    if (sessions.size >= maxSessions) {
      refuse();
      return;
    }
    // Without a listener for 'sftp', ssh2 hands that subsystem out as a raw channel.
    (accept() as Session).on('subsystem', (acceptChannel, reject, info) => {
      if (info.name !== 'sftp') {
        reject();
        return;
      }
      const channel = acceptChannel();
      const session = new SftpSession(channel, service);
      sessions.add(session);
      channel.on('close', () => sessions.delete(session));
    });
  });
  connection.on('close', () => {
    for (const session of sessions) session.end();
  });
}

/** Who may log in. */
class Login {
  readonly #user: string;
  readonly #password: string | undefined;
  readonly #key: ParsedKey | null;

  constructor(options: ServerOptions) {
    this.#user = options.user;
    this.#password = options.password;
    this.#key = options.authorizedKey === undefined ? null : parsePublicKey(options.authorizedKey);
  }

  decide(context: AuthContext): void {
    if (context.username === this.#user && this.#proves(context)) context.accept();
    else context.reject(this.#methods());
  }

  #proves(context: AuthContext): boolean {
    if (context.method === 'password') {
      return this.#password !== undefined && sameSecret(context.password, this.#password);
    }
    if (context.method !== 'publickey' || this.#key === null) return false;
    if (!context.key.data.equals(this.#key.getPublicSSH())) return false;
    // The first round only asks whether this key would do; the second proves that it is at hand.
    if (context.signature === undefined || context.blob === undefined) return true;
    return this.#key.verify(context.blob, context.signature, context.hashAlgo) === true;
  }

  #methods(): ('password' | 'publickey')[] {
    const methods: ('password' | 'publickey')[] = [];
    if (this.#password !== undefined) methods.push('password');
    if (this.#key !== null) methods.push('publickey');
    return methods;
  }
}

function parsePublicKey(line: string): ParsedKey {
  const key = ssh2.utils.parseKey(line);
  if (key instanceof Error) throw new Error(`the authorized key cannot be read: ${key.message}`);
  return key;
}

/** Compares hashes, so that neither length nor content shows in the time taken. */
function sameSecret(one: string, other: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(one), hash(other));
}
