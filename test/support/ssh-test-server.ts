/** An SSH server inside the test process, on loopback: what it accepts and how it misbehaves is up to the test. */
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import ssh2, { type AuthContext, type AuthenticationType, type Connection } from 'ssh2';

const { generateKeyPairSync, parseKey } = ssh2.utils;

export interface TestServerOptions {
  /** Private host keys in OpenSSH format. */
  readonly hostKeys: readonly string[];
  readonly password?: string | undefined;
  /** Public key blobs that may log in. */
  readonly publicKeys?: readonly Buffer[];
  /** The hidden question of keyboard-interactive, and its answer; null offers it and then asks nothing. */
  readonly interactive?: { readonly question: string; readonly answer: string } | null;
  /** After a key, a password (or an answer) is wanted too. */
  readonly twoFactors?: boolean;
  /** The password is accepted only the first time. */
  readonly oneTime?: boolean;
  readonly banner?: string;
  /** Connects to wherever on loopback a client wants to go on to; without it, that is prohibited. */
  readonly forwards?: boolean;
  /** A free one unless given. */
  readonly port?: number;
  /** What the sftp subsystem does, and a command if that is refused; the default sends back what it gets, a function takes the channel over. */
  readonly subsystem?: 'echo' | 'refuse' | 'silent' | 'complain' | ((channel: Duplex) => void);
}

export interface TestServer {
  readonly port: number;
  /** What clients tried, in order: `none`, `password`, `publickey-query`, `publickey`. */
  readonly attempts: string[];
  /** Commands that were run. */
  readonly commands: string[];
  readonly clients: number;
  /** Cuts every connection without a goodbye. */
  cut(): void;
  /** Stops reading and answering, as a network that went away. */
  freeze(): void;
  rekey(): void;
  close(): Promise<void>;
}

export interface TestKey {
  readonly private: string;
  readonly public: string;
  readonly blob: Buffer;
}

/** A fresh key pair; with a passphrase the private half is encrypted. */
export function makeKey(type: 'ed25519' | 'ecdsa' | 'rsa' = 'ed25519', passphrase?: string): TestKey {
  const lock = passphrase === undefined ? {} : { passphrase, cipher: 'aes256-ctr', rounds: 1 };
  for (;;) {
    const pair = generateKeyPairSync(type, { bits: type === 'rsa' ? 2048 : 256, ...lock } as never);
    // ssh2 writes about one pair in five hundred so that nobody can read it.
    const parsed = parseKey(pair.public);
    const isReadable = !(parsed instanceof Error) && !(parseKey(pair.private, passphrase) instanceof Error);
    if (isReadable) return { ...pair, blob: parsed.getPublicSSH() };
  }
}

export async function startSshServer(options: TestServerOptions): Promise<TestServer> {
  const attempts: string[] = [];
  const spent = new Set<string>();
  const commands: string[] = [];
  const clients = new Set<Connection>();
  const sockets = new Set<Socket>();
  const config = {
    hostKeys: [...options.hostKeys],
    ...(options.banner === undefined ? {} : { banner: options.banner }),
  };
  const server = new ssh2.Server(config, (client) => {
    clients.add(client);
    client.on('error', () => {});
    client.on('close', () => clients.delete(client));
    client.on('authentication', authenticator(options, attempts, spent));
    if (options.forwards === true) {
      client.on('tcpip', (accept, reject, { destPort }) => {
        const further = connect(destPort, '127.0.0.1');
        further.once('error', reject);
        further.once('connect', () => {
          const channel = accept();
          channel.on('error', () => {});
          further.on('error', () => channel.destroy());
          further.pipe(channel).pipe(further);
          channel.once('close', () => further.destroy());
        });
      });
    }
    client.on('session', (acceptSession) => {
      const session = acceptSession();
      session.on('subsystem', (accept, reject) => {
        if (typeof options.subsystem === 'function') options.subsystem(accept());
        else if (options.subsystem === 'refuse') reject();
        else if (options.subsystem !== 'silent') serve(accept(), options.subsystem === 'complain');
      });
      session.on('exec', (accept, reject, info) => {
        commands.push(info.command);
        if (options.subsystem === 'refuse') reject();
        else serve(accept(), false);
      });
    });
  });
  // The TCP server below ssh2's, to reach the sockets.
  const tcp = Reflect.get(server, '_srv') as import('node:net').Server;
  tcp.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    attempts,
    commands,
    get clients() {
      return clients.size;
    },
    cut,
    freeze: () => {
      for (const socket of sockets) {
        socket.pause();
        socket.removeAllListeners('data');
      }
    },
    rekey: () => {
      for (const client of clients) client.rekey(() => {});
    },
    close: () => {
      cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

type Stream = NodeJS.ReadWriteStream & {
  stderr: NodeJS.WritableStream;
  exit(code: number): void;
  end(): void;
};

function serve(stream: Stream, complain: boolean): void {
  if (!complain) {
    // Ended by nobody: ssh2 throws when a channel ends after its connection did.
    stream.pipe(stream, { end: false });
    return;
  }
  stream.stderr.write('sh: 1: /usr/libexec/sftp-server: not found\n');
  stream.exit(127);
  stream.end();
}

function authenticator(
  options: TestServerOptions,
  attempts: string[],
  spent: Set<string>,
): (context: AuthContext) => void {
  const { password, publicKeys, interactive, twoFactors, oneTime } = options;
  let firstFactor = false;
  const methods = (): AuthenticationType[] => {
    const second: AuthenticationType[] = [];
    if (password !== undefined) second.push('password');
    if (interactive !== undefined) second.push('keyboard-interactive');
    if (twoFactors && firstFactor) return second;
    const first: AuthenticationType[] = publicKeys === undefined ? [] : ['publickey'];
    return twoFactors ? first : [...first, ...second];
  };
  const secondFactorMissing = () => twoFactors === true && !firstFactor;
  return (context) => {
    switch (context.method) {
      case 'password':
        attempts.push('password');
        if (context.password === password && !secondFactorMissing() && !spent.has(password)) {
          if (oneTime) spent.add(password);
          context.accept();
        } else context.reject(methods());
        return;
      case 'publickey': {
        attempts.push(context.signature ? 'publickey' : 'publickey-query');
        const known = publicKeys?.some((blob) => blob.equals(context.key.data)) === true;
        const key = parseKey(
          `${context.key.algo.startsWith('rsa-') ? 'ssh-rsa' : context.key.algo} ${context.key.data.toString('base64')}`,
        );
        const valid =
          known &&
          (!context.signature ||
            (!(key instanceof Error) &&
              context.blob &&
              key.verify(context.blob, context.signature, context.hashAlgo) === true));
        if (!valid) context.reject(methods());
        else if (context.signature && twoFactors) {
          firstFactor = true;
          context.reject(methods(), true);
        } else context.accept();
        return;
      }
      case 'keyboard-interactive':
        attempts.push('keyboard-interactive');
        if (!interactive || secondFactorMissing()) {
          context.reject(methods());
          return;
        }
        context.prompt(
          [{ prompt: interactive.question, echo: false }],
          'Two factors',
          'Look at your phone',
          (answers) => {
            if (answers[0] === interactive.answer) context.accept();
            else context.reject(methods());
          },
        );
        return;
      default:
        attempts.push(context.method);
        context.reject(methods());
    }
  };
}
