/**
 * Key files as puttygen 0.78 wrote them, for rules that need no puttygen. They log in nowhere; what is encrypted has
 * the passphrase below, with costs far below PuTTY's own.
 */

export const PASSPHRASE = 'correct horse';

export interface PuttyFixture {
  readonly ppk: string;
  /** `TYPE KEY`, as puttygen -L shows it. */
  readonly public: string;
  readonly isEncrypted: boolean;
}

export const PUTTY_KEYS = {
  'version 3, ed25519, Argon2id': {
    isEncrypted: true,
    public: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPtji45ufEhwHtGLfBKXu4T9NIxP2bERZbq9YgT/jf8r',
    ppk: [
      'PuTTY-User-Key-File-3: ssh-ed25519',
      'Encryption: aes256-cbc',
      'Comment: v3 id',
      'Public-Lines: 2',
      'AAAAC3NzaC1lZDI1NTE5AAAAIPtji45ufEhwHtGLfBKXu4T9NIxP2bERZbq9YgT/',
      'jf8r',
      'Key-Derivation: Argon2id',
      'Argon2-Memory: 64',
      'Argon2-Passes: 3',
      'Argon2-Parallelism: 2',
      'Argon2-Salt: 7acf5bd73d9c895c6933e327caf5538c',
      'Private-Lines: 1',
      '8BnPKnVnDSTF8fNpDFCiqzhWIkmNoVlGpXhzctHg/CYra2sy+ST4hqQL9Xg8TgQ4',
      'Private-MAC: e7ccc4cb1314f86c0340c77c72ef4a10e88a1fe197a377431a827e8c1e0e4d16',
      '',
    ].join('\n'),
  },
  'version 3, ecdsa 256, Argon2i': {
    isEncrypted: true,
    public:
      'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFTXT/Qdeh9EChL8kdlhZqrDnYRephLj3q/JN414DKkHGV25UOxVOdhnUQFFfGnRqe0Shb6d8CiCuhIcsznqFLI=',
    ppk: [
      'PuTTY-User-Key-File-3: ecdsa-sha2-nistp256',
      'Encryption: aes256-cbc',
      'Comment: v3 i',
      'Public-Lines: 3',
      'AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFTXT/Qdeh9E',
      'ChL8kdlhZqrDnYRephLj3q/JN414DKkHGV25UOxVOdhnUQFFfGnRqe0Shb6d8CiC',
      'uhIcsznqFLI=',
      'Key-Derivation: Argon2i',
      'Argon2-Memory: 64',
      'Argon2-Passes: 3',
      'Argon2-Parallelism: 1',
      'Argon2-Salt: 77fe03fed495aad2d5366082a993de29',
      'Private-Lines: 1',
      'ZP+gwX8NZNPpf+3EXJEGkT9zA84RDmG+MRjfsjvcpdwHyWKJDG8P+bWqPfhr3nDU',
      'Private-MAC: b9d44bb25f4d983533f22d53a505b87e1c0b1929ec9c44eb118ab977ae0ae652',
      '',
    ].join('\n'),
  },
  'version 3, ecdsa 521, Argon2d': {
    isEncrypted: true,
    public:
      'ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBADy3lUdgofZk2/MpM8hLMZSSF3r/sF4zK+9PU17MJOkXgGya2Nlmti9Mv9zp1alOUqz6phack2Uam7fmKcDlt5tDgHr5/fA9HknQJ7Cj/JVoa3zJqrIogWMR4vqpaQTPKoxOz0+gyNOU0iecFblbemWC4DErAvgvFqyD02RBbaLPL9ERA==',
    ppk: [
      'PuTTY-User-Key-File-3: ecdsa-sha2-nistp521',
      'Encryption: aes256-cbc',
      'Comment: v3 d',
      'Public-Lines: 4',
      'AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBADy3lUdgofZ',
      'k2/MpM8hLMZSSF3r/sF4zK+9PU17MJOkXgGya2Nlmti9Mv9zp1alOUqz6phack2U',
      'am7fmKcDlt5tDgHr5/fA9HknQJ7Cj/JVoa3zJqrIogWMR4vqpaQTPKoxOz0+gyNO',
      'U0iecFblbemWC4DErAvgvFqyD02RBbaLPL9ERA==',
      'Key-Derivation: Argon2d',
      'Argon2-Memory: 64',
      'Argon2-Passes: 3',
      'Argon2-Parallelism: 1',
      'Argon2-Salt: 7c665e22a3de5dae8f65e33689b51da2',
      'Private-Lines: 2',
      'AcPgFHZfxGtlqyiOkD86hK/QzrI7OZeiB/UDg3nvAm32sY2qyexY0FR/dwHmWCF8',
      'cczMIsHhhBofOpGU61sd6qo4KLLb6kUb61qNgOIcTzo=',
      'Private-MAC: 5cb5f2c466eef2c8b7f4e325c0caeb16c7e7d1f1ad1e73d1ad023ba0f5856110',
      '',
    ].join('\n'),
  },
  'version 3, ed25519, open': {
    isEncrypted: false,
    public: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGaqupMA+e880m8ATK7gfMSzayNsyxI8d2fhNe66kA5T',
    ppk: [
      'PuTTY-User-Key-File-3: ssh-ed25519',
      'Encryption: none',
      'Comment: v3 open',
      'Public-Lines: 2',
      'AAAAC3NzaC1lZDI1NTE5AAAAIGaqupMA+e880m8ATK7gfMSzayNsyxI8d2fhNe66',
      'kA5T',
      'Private-Lines: 1',
      'AAAAIPgo7MnHECn1MBvEz2WQS8Wh//3dejU5LapMrx1ukpUo',
      'Private-MAC: ec4a1b6192f6493ba6507edc083c801b15da6ab52cbb32549ba0639566adfe45',
      '',
    ].join('\n'),
  },
  'version 2, rsa': {
    isEncrypted: true,
    public:
      'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCLS9sk+Wb4adrXwM0A3NSSMsjfNgFwdogb5x9lb13GE5pKfxMSvnskxfM9QYk83kuwwUAJp9AjG9Bu86K6ix+HKMOuEix99yGNkRqpS1j4cozU1cw084ngDsy5PCNofybZ3ISPc/og5EBlCrxNmOGDygM/CAkuWmkv1AhF7VaCpQ==',
    ppk: [
      'PuTTY-User-Key-File-2: ssh-rsa',
      'Encryption: aes256-cbc',
      'Comment: v2',
      'Public-Lines: 4',
      'AAAAB3NzaC1yc2EAAAADAQABAAAAgQCLS9sk+Wb4adrXwM0A3NSSMsjfNgFwdogb',
      '5x9lb13GE5pKfxMSvnskxfM9QYk83kuwwUAJp9AjG9Bu86K6ix+HKMOuEix99yGN',
      'kRqpS1j4cozU1cw084ngDsy5PCNofybZ3ISPc/og5EBlCrxNmOGDygM/CAkuWmkv',
      '1AhF7VaCpQ==',
      'Private-Lines: 8',
      'TOT8xHIdDo2/Dy9/xO35c6NjGpjKwa+t7/iXaLsUhGQtWXCh58dsCznX6DSc2egl',
      'N/5uLMn7kh7enKHF7YSDXCuqBJkhBKTaXZUJxWUuxjx0sfNhweMQYocflk9VOexw',
      'trfX9tNa4Va8YgirGv5RVxFoJF3IEE2fFrV/WZo23XkG6J18kQnj3cun+u0Z6lYb',
      'bZyRT69Y7rxUgga0zN/Ppgxa011Hs+aFbVXPb/QARI1LAXwe+83aHikDRi+voS0L',
      't5W8kKOxfGXsxA0G8he4DRLG8svuY4l2j0PWlYMMXki3CNu390ME5Z5P8KXY6BXD',
      'PUPhmht016/R1n4e7t/Y+IhIyi0eRZpD0/sWWhMBlpfphvSzQI0jP5EOyt5G80Zj',
      'A496d4IlWkkC5qVeAz3I8dg5iJdjgjHL2TI3rwx0DLSZa0voaYRQRq56kHlYiqRr',
      'Gl2Orc94oQwLWBxqyKrG3A==',
      'Private-MAC: cf5f7a05d1a7915e2e1973a276b46b33755efecb',
      '',
    ].join('\n'),
  },
  'version 2, ed25519': {
    isEncrypted: true,
    public: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILa0yRGdUSkG5JcEfRXPmSU+lIw7ChIoPLSKpnUc3Qpi',
    ppk: [
      'PuTTY-User-Key-File-2: ssh-ed25519',
      'Encryption: aes256-cbc',
      'Comment: v2',
      'Public-Lines: 2',
      'AAAAC3NzaC1lZDI1NTE5AAAAILa0yRGdUSkG5JcEfRXPmSU+lIw7ChIoPLSKpnUc',
      '3Qpi',
      'Private-Lines: 1',
      '64P7I75oNtqZhnO2/wsgoGsHwkyMU9WMBWs2C7ZNjSj+wLlRYVV2Sdgmj4vDDTBg',
      'Private-MAC: 26fa9288e879380f3a75e17abbbabf9b11cdaec5',
      '',
    ].join('\n'),
  },
  'version 2, ecdsa 384, open': {
    isEncrypted: false,
    public:
      'ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBIUjgHanLa7mhjtz9chOyAK4m91fKDfG3GEtT8v7OJ74ixTkfD+0W4wU+YR3CiJUguz8vkhNaBxkhjz3keRUIITeGEP8AaXA4/+FLo85w986+WYbBxTOvZBIka1Kd7yN4Q==',
    ppk: [
      'PuTTY-User-Key-File-2: ecdsa-sha2-nistp384',
      'Encryption: none',
      'Comment: v2 open',
      'Public-Lines: 3',
      'AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBIUjgHanLa7m',
      'hjtz9chOyAK4m91fKDfG3GEtT8v7OJ74ixTkfD+0W4wU+YR3CiJUguz8vkhNaBxk',
      'hjz3keRUIITeGEP8AaXA4/+FLo85w986+WYbBxTOvZBIka1Kd7yN4Q==',
      'Private-Lines: 2',
      'AAAAMQDf2WtSyrf4HRklgwyXbvSz3OM/7udluF4AxYdleMAcGyVBbThphSujuhbE',
      'Plv2KSs=',
      'Private-MAC: a8d8afce6373d1d834f0f271eda598f9b1b288ad',
      '',
    ].join('\n'),
  },
} as const satisfies Record<string, PuttyFixture>;
