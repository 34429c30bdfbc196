/**
 * A mount on a server and a network that fail on command: for each test an sshd of its own behind a proxy of its own,
 * and a directory that it serves. Registers its own hooks; use one per test file.
 */
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { LinkStatus } from '../../../src/recovery/session.js';
import { made } from '../mount-fixture.js';
import { type Mounted, type MountRequest, Remora } from '../remora.js';
import { must, start, until } from '../run.js';
import { Scope } from '../scope.js';
import { Sshd } from '../sshd.js';
import { Program } from './program.js';
import { behindProxy, FaultProxy } from './proxy.js';

/** Losses are noticed within four seconds, and calls wait long enough for every test. */
export const PATIENT: readonly string[] = [
  'ServerAliveInterval=1,ServerAliveCountMax=3,ConnectTimeout=5,timeout=60',
];

export const MEBIBYTE = 2 ** 20;

interface World {
  readonly sshd: Sshd;
  readonly proxy: FaultProxy;
  readonly remora: Remora;
  readonly disk: string;
}

export class FaultFixture {
  #scope: Scope | null = null;
  #world: World | null = null;
  #mount: Mounted | null = null;

  constructor(label: string) {
    beforeAll(async () => {
      this.#scope = await Scope.open(label);
    });
    afterAll(async () => {
      await this.#scope?.close();
    });
    beforeEach(async () => {
      const sshd = await Sshd.start(this.scope, { sftp: 'external' });
      const proxy = await FaultProxy.start(sshd.port);
      const disk = await this.scope.makeDirectory(`disk-${Math.random().toString(36).slice(2)}`);
      this.#world = { sshd, proxy, disk, remora: await Remora.create(this.scope) };
    });
    afterEach(async () => {
      await this.proxy.calm();
      await this.remora.discard();
      await this.proxy.stop();
      await this.sshd.stop();
    });
  }

  get scope(): Scope {
    return made(this.#scope);
  }

  get sshd(): Sshd {
    return made(this.#world).sshd;
  }

  get proxy(): FaultProxy {
    return made(this.#world).proxy;
  }

  get remora(): Remora {
    return made(this.#world).remora;
  }

  /** The directory of the server that is mounted, as it is there. */
  get disk(): string {
    return made(this.#world).disk;
  }

  get mounted(): Mounted {
    return made(this.#mount);
  }

  async mount(request: MountRequest = {}): Promise<void> {
    const server = await behindProxy(this.scope, this.sshd, this.proxy);
    this.#mount = await this.remora.mount(server, this.disk, { options: PATIENT, ...request });
  }

  /** What the mount says of its connection. */
  async link(): Promise<LinkStatus> {
    return (await this.mounted.status()).link;
  }

  /** A path on the server's disk. */
  onDisk(name: string): string {
    return join(this.disk, name);
  }

  /** The same path through the mount. */
  at(name: string): string {
    return join(this.mounted.directory, name);
  }

  program(code: string, ...args: readonly string[]): Program {
    return new Program(this.scope, code, ...args);
  }

  /** Starts a copy of a file; the answer waits for its end, and throws unless every byte of it arrived. */
  copy(from: string, to: string): () => Promise<void> {
    const child = start('cp', [from, to], { env: this.scope.environment });
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const ended = once(child, 'exit');
    const { directory } = this.mounted;
    const arrived = to.startsWith(directory) ? join(this.disk, to.slice(directory.length)) : to;
    return async () => {
      const [code] = await ended;
      expect({ code, said }).toEqual({ code: 0, said: '' });
      await must('cmp', [from, arrived]);
    };
  }

  /** The mount does what it should, and ends with nothing left over. */
  async worksAndEnds(): Promise<void> {
    await must('sh', ['-c', 'echo fine > "$1" && cat "$1" && rm "$1"', 'sh', this.at('.after')]);
    await this.mounted.unmount();
  }
}

/** Waits until so many bytes of a file are there, on a disk that is not mounted. */
export const grown = (path: string, bytes: number): Promise<boolean> =>
  until(`${bytes} bytes of ${path}`, async () => {
    const found = await stat(path).catch(() => null);
    return found !== null && found.size >= bytes;
  });
