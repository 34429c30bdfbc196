/** Which machine a run was made on: what matters for speed, and nothing that names it. */
import { statfs } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import type { Machine } from './results.js';

const GIB = 2 ** 30;
/** f_type of statfs(2), for the filesystems that are likely. */
const FILESYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x01021994, 'tmpfs'],
  [0xef53, 'ext4'],
  [0x9123683e, 'btrfs'],
  [0x58465342, 'xfs'],
  [0x794c7630, 'overlayfs'],
]);

export function describeMachine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown processor',
    cores: processors.length,
    memoryGiB: totalmem() / GIB,
    kernel: release().replace(/-.*/, ''),
    node: process.versions.node,
  };
}

/** The type of the filesystem that holds `directory`. */
export async function storageOf(directory: string): Promise<string> {
  return FILESYSTEMS.get((await statfs(directory)).type) ?? 'a local filesystem';
}

/** A directory in memory with room for `bytes`, so that no disk is measured; null where there is none. */
export async function memoryDirectory(bytes: number): Promise<string | null> {
  const shared = '/dev/shm';
  const info = await statfs(shared).catch(() => null);
  return info !== null && info.bavail * info.bsize >= bytes ? shared : null;
}
