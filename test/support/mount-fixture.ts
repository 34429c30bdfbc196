/**
 * What tests of the command need: a directory `disk` with a file `hello`, an sshd that serves it, and for each test a
 * person with an empty home, whose mounts end with the test. Registers its own hooks; use one per test file.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { type Mounted, type MountRequest, Remora } from './remora.js';
import { Scope } from './scope.js';
import { Sshd } from './sshd.js';

export interface MountFixtureOptions {
  /** A new server for each test, which may then do to it what it wants. */
  readonly serverPerTest?: boolean;
}

export class MountFixture {
  #scope: Scope | null = null;
  #sshd: Sshd | null = null;
  #remora: Remora | null = null;
  #disk = '';

  constructor(label: string, { serverPerTest = false }: MountFixtureOptions = {}) {
    beforeAll(async () => {
      this.#scope = await Scope.open(label);
      // Plain users serve it too.
      this.#disk = await this.scope.makeDirectory('disk', undefined, 0o777);
      await writeFile(join(this.#disk, 'hello'), 'from the server\n');
      if (!serverPerTest) this.#sshd = await Sshd.start(this.scope);
    });
    afterAll(async () => {
      await this.#scope?.close();
    });
    beforeEach(async () => {
      if (serverPerTest) this.#sshd = await Sshd.start(this.scope);
      this.#remora = await Remora.create(this.scope);
    });
    afterEach(async () => {
      await this.#remora?.discard();
    });
  }

  get scope(): Scope {
    return made(this.#scope);
  }

  get sshd(): Sshd {
    return made(this.#sshd);
  }

  get remora(): Remora {
    return made(this.#remora);
  }

  /** The directory of the server that is mounted, as it is there. */
  get disk(): string {
    return this.#disk;
  }

  /** What is mounted, as the command takes it. */
  get source(): string {
    return `${this.sshd.user}@${this.sshd.host}:${this.disk}`;
  }

  /** The arguments of a command that mounts at a place. */
  async mounting(mountpoint: string): Promise<readonly string[]> {
    return [this.source, mountpoint, ...(await this.remora.login(this.sshd))];
  }

  mount(request: MountRequest = {}): Promise<Mounted> {
    return this.remora.mount(this.sshd, this.disk, request);
  }
}

/** What hooks have made by now. */
export function made<T>(value: T | null): T {
  if (value === null) throw new Error('there is none before the test begins');
  return value;
}
