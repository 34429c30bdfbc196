/**
 * Keys that sign on request: those of an authentication agent, and those of encrypted files that are
 * unlocked only when the server would accept them. Each is offered alone, as an agent of one key, so that
 * the order of attempts is ours.
 */
import ssh2, {
  type IdentityCallback,
  type ParsedKey,
  type SignCallback,
  type SigningRequestOptions,
} from 'ssh2';
import { logger } from '../base/log.js';
import { expandHome, type Surroundings } from './settings.js';

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
