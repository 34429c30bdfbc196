import { deferred } from '../../src/base/deferred.js';
import { O_EXCL, O_RDWR, O_WRONLY } from '../../src/base/mode.js';
import type { FsOptions } from '../../src/fs/options.js';
import { type DirectFileSystem, NOT_PAGES, openDirect, path } from './direct-filesystem.js';

export const named = (name: string) => ({ path: path(name), handle: null });

/** A file system that posts, in whose root directory the server has let a file be made. */
export async function posting(options: Partial<FsOptions> = {}): Promise<DirectFileSystem> {
  const direct = await openDirect({ posts: true, ...options });
  const { fs, requests } = direct;
  const { handle } = await fs.create(path('first'), O_WRONLY | O_EXCL, 0o644);
  await fs.lookup(path(''));
  await fs.release(handle);
  await fs.flushAll();
  const second = await fs.create(path('second'), O_WRONLY | O_EXCL, 0o644);
  await fs.release(second.handle);
  await fs.flushAll();
  requests.length = 0;
  return direct;
}

/** Makes a file as a program does that asks for the name first. */
export async function put(fs: DirectFileSystem['fs'], name: string, content: string): Promise<void> {
  await fs.lookup(path(name));
  const { handle } = await fs.create(path(name), O_RDWR | O_EXCL, 0o644);
  if (content !== '') await fs.write(handle, 0, Buffer.from(content), NOT_PAGES);
  await fs.flush(handle).finally(() => fs.release(handle));
}

/** Makes a directory as a program does. */
export async function make(fs: DirectFileSystem['fs'], name: string, mode = 0o755): Promise<void> {
  await fs.lookup(path(name));
  await fs.mkdir(path(name), mode);
}

/** Nothing of that kind is answered until the gate opens. */
export function hold({ before }: DirectFileSystem, request: string): () => void {
  const gate = deferred<void>();
  before.set(request, () => gate.promise);
  return () => {
    before.delete(request);
    gate.resolve();
  };
}
