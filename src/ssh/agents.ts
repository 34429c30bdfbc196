/**
 * Keys that sign on request: those of an authentication agent, and those of encrypted files that are
 * unlocked only when the server would accept them. Each is offered alone, as an agent of one key, so that
 * the order of attempts is ours.
 */
import { connect } from 'node:net';
import ssh2, {
  type IdentityCallback,
  type ParsedKey,
  type SignCallback,
  type SigningRequestOptions,
} from 'ssh2';
import { logger } from '../base/log.js';
import { expandHome, type Surroundings } from './settings.js';
import { WireReader } from './wire.js';

const log = logger('ssh');

export type Signer = (data: Buffer, options: SigningRequestOptions) => Promise<Buffer>;

/** One public key whose private half signs later, or elsewhere. */
export class SingleKeyAgent extends ssh2.BaseAgent<ParsedKey> {
  readonly key: ParsedKey;
  readonly #sign: Signer;
  #signatures = 0;

  constructor(key: ParsedKey, sign: Signer) {
    super();
    this.key = key;
    this.#sign = sign;
  }

  /** How often a server knew the key and was given a signature. */
  get signatures(): number {
    return this.#signatures;
  }

  override getIdentities(callback: IdentityCallback<ParsedKey>): void {
    callback(null, [this.key]);
  }

  override sign(
    _key: ParsedKey,
    data: Buffer,
    options: SigningRequestOptions | SignCallback,
    callback?: SignCallback,
  ): void {
    const done = typeof options === 'function' ? options : callback;
    const hash = typeof options === 'function' ? {} : options;
    const answer = (error: Error | null, signature?: Buffer) => {
      try {
        done?.(error, signature);
      } catch (late) {
        // The connection ended while the key was being unlocked; ssh2 then throws on any use.
        log('a signature came too late: %s', late instanceof Error ? late.message : late);
      }
    };
    this.#sign(data, hash).then(
      (signature) => {
        this.#signatures += 1;
        answer(null, signature);
      },
      (error) => answer(error instanceof Error ? error : new Error(String(error))),
    );
  }
}

/** The socket that `IdentityAgent` means, or null for none (ssh_config(5), IdentityAgent). */
export function agentSocket(identityAgent: string, { home, environment }: Surroundings): string | null {
  if (identityAgent.toLowerCase() === 'none') return null;
  const variable =
    identityAgent === 'SSH_AUTH_SOCK' ? identityAgent : /^\$\{?(\w+)\}?$/.exec(identityAgent)?.[1];
  const path = variable === undefined ? identityAgent : environment[variable];
  return path === undefined || path === '' ? null : expandHome(path, home);
}

/** The keys an agent holds; none when it does not answer. */
export async function agentKeys(socket: string): Promise<SingleKeyAgent[]> {
  const agent = new ssh2.OpenSSHAgent(socket);
  const keys = await new Promise<ParsedKey[]>((resolve) => {
    agent.getIdentities((error, held) => {
      if (error) log('the agent at %s gives no keys: %s', socket, error.message);
      resolve((held ?? []).flatMap((key) => ('type' in key ? [key] : [])));
    });
  });
  return keys.map((key) => new SingleKeyAgent(key, (data, options) => signWith(agent, key, data, options)));
}

/** Numbers of the agent's protocol (draft-ietf-sshm-ssh-agent, section 6.1), and how much of an answer is read. */
const SSH_AGENTC_REQUEST_IDENTITIES = 11;
const SSH_AGENT_IDENTITIES_ANSWER = 12;
const MAX_ANSWER = 256 * 1024;
/** Milliseconds that an agent may take to say what it holds. */
const PATIENCE = 5000;

/**
 * The public keys an agent holds, as on the wire, with those that ssh2 leaves out; none when it does not answer.
 */
export async function agentBlobs(socket: string): Promise<Buffer[]> {
  const answer = await new Promise<Buffer>((resolve) => {
    const agent = connect(socket, () => agent.write(Buffer.of(0, 0, 0, 1, SSH_AGENTC_REQUEST_IDENTITIES)));
    let received = Buffer.alloc(0);
    const finish = () => {
      agent.destroy();
      resolve(received);
    };
    agent.setTimeout(PATIENCE, finish).on('error', finish).on('end', finish);
    agent.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (new WireReader(received).string() !== null || received.length > MAX_ANSWER) finish();
    });
  });
  const reader = new WireReader(new WireReader(answer).string() ?? Buffer.alloc(0));
  if (reader.bytes(1)?.[0] !== SSH_AGENT_IDENTITIES_ANSWER) return [];
  const blobs: Buffer[] = [];
  for (let left = reader.uint32() ?? 0; left > 0; left--) {
    const [blob] = reader.strings(2) ?? [];
    if (blob === undefined) break;
    blobs.push(blob);
  }
  return blobs;
}

function signWith(
  agent: ssh2.OpenSSHAgent,
  key: ParsedKey,
  data: Buffer,
  options: SigningRequestOptions,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    agent.sign(key, data, options, (error, signature) => {
      if (error || signature === undefined) reject(error ?? new Error('the agent gave no signature'));
      else resolve(signature);
    });
  });
}
