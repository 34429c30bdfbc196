/** The examples do what they say: the commands that they print work. */
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { endProcesses } from '../support/processes.js';
import { Remora } from '../support/remora.js';
import { start, until } from '../support/run.js';
import { Scope } from '../support/scope.js';

let scope: Scope;
let remora: Remora;

beforeAll(async () => {
  scope = await Scope.open('examples');
  remora = await Remora.create(scope);
});
afterAll(async () => {
  await remora?.discard();
  await scope?.close();
});

it('serve-directory: the printed command mounts the directory', async () => {
  const disk = await scope.makeDirectory('disk');
  await writeFile(join(disk, 'hello'), 'from the example\n');
  const script = resolve(import.meta.dirname, '..', '..', 'examples', 'serve-directory.mjs');
  const server = start(process.execPath, [script, disk], { env: scope.environment });
  let printed = '';
  server.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  const pid = server.pid ?? 0;
  scope.defer('the example', () => endProcesses([pid], 'SIGTERM'));
  await until('the command', async () => printed.includes('-o password_stdin'));

  const [, password, command] = /^echo (\w+) \| remora (.+)$/m.exec(printed) ?? [];
  const mountpoint = await scope.makeDirectory('mnt');
  const args = (command ?? '').replace('<mountpoint>', mountpoint).split(' ');
  const mounted = await remora.run(args, { input: `${password}\n` });
  expect(mounted).toMatchObject({ code: 0, stderr: '' });
  expect(await readFile(join(mountpoint, 'hello'), 'utf8')).toBe('from the example\n');
  expect((await remora.run(['unmount', mountpoint])).code).toBe(0);
});
