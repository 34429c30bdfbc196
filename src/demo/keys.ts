/** Fresh Ed25519 keys for the embedded server and whoever logs in to it. */
import ssh2 from 'ssh2';

export interface KeyPair {
  /** In OpenSSH's format. */
  readonly private: string;
  /** `ssh-ed25519 AAAA…` */
  readonly public: string;
}

/** ssh2 1.17 writes about one pair in five hundred so that nobody can read it: such a one is thrown away. */
export function generateKeyPair(): KeyPair {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519');
    const parsed = [ssh2.utils.parseKey(pair.public), ssh2.utils.parseKey(pair.private)];
    if (!parsed.some((key) => key instanceof Error)) return pair;
  }
}
