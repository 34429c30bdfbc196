/** The little filesystem of memfs-child.mjs, mounted: a child process that a test commands over its pipes. */
import type { ChildProcess } from 'node:child_process';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inject } from 'vitest';
import { isMountPoint, type SessionStats, unmountPath } from '../../src/fuse/index.js';
import { endProcesses } from './processes.js';
import { type Identity, start, until } from './run.js';
import type { Scope } from './scope.js';

export interface Ending {
  readonly reason: string;
  readonly stats: Record<string, unknown>;
}

export class MountedMemory {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly mountpoint: string;
  #output = '';

  private constructor(child: ChildProcess, pid: number, mountpoint: string) {
    this.child = child;
    this.pid = pid;
    this.mountpoint = mountpoint;
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (data) => (this.#output += data));
  }

  /** Mounts below the directory of `scope`, which ends it; `options` are those of `mountFuse`. */
  static async serve(scope: Scope, as?: Identity, options: object = {}): Promise<MountedMemory> {
    const stage = inject('stage');
    const program = join(scope.directory, 'child.mjs');
    await copyFile(join(import.meta.dirname, 'memfs-child.mjs'), program);
    const mountpoint = await scope.makeDirectory(`mnt ${crypto.randomUUID()}`, as);
    const mount = { mountpoint, fsname: 'mem,ory', subtype: 'remora', ...options };
    const child = start(stage.node, [program, join(stage.directory, 'dist'), JSON.stringify(mount)], {
      as,
      env: scope.environment,
      stdin: 'pipe',
    });
    const { pid } = child;
    if (pid === undefined) throw new Error('the server did not start');
    const mounted = new MountedMemory(child, pid, mountpoint);
    scope.defer(`server ${pid}`, async () => {
      if (await isMountPoint(mountpoint)) await unmountPath(mountpoint, { lazy: true });
      await endProcesses([pid]);
    });
    await until('the mount to be served', async () => {
      if (child.exitCode !== null) throw new Error(`the server ended: ${mounted.output}`);
      return mounted.output.includes('ready');
    });
    return mounted;
  }

  get output(): string {
    return this.#output;
  }

  send(...words: readonly string[]): void {
    this.child.stdin?.write(`${JSON.stringify(words)}\n`);
  }

  /** Sends one command and answers what it answers. */
  async command(...words: readonly string[]): Promise<unknown> {
    const before = this.#output.length;
    const answer = () => /^answer (.*)\n/m.exec(this.#output.slice(before))?.[1];
    this.send(...words);
    await until(`an answer to ${words[0]}`, async () => answer() !== undefined);
    return JSON.parse(answer() ?? 'null');
  }

  /** How often the kernel has asked, by opcode. */
  async requests(): Promise<(opcode: string) => number> {
    const { opcodes } = (await this.command('stats')) as SessionStats;
    return (opcode) => opcodes[opcode]?.count ?? 0;
  }

  /** Waits for the last words: why it ended, and what it still held. */
  async ending(): Promise<Ending> {
    await until(
      'the server to end',
      async () => this.child.exitCode !== null && this.#output.includes('done'),
    );
    const [, reason = '', stats = '{}'] = /done (\w+) (.*)/.exec(this.#output) ?? [];
    return { reason, stats: JSON.parse(stats) };
  }
}
