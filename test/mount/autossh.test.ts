/** What autossh's users have set in their environment. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MountFixture } from '../support/mount-fixture.js';
import { endProcesses } from '../support/processes.js';
import { start, until } from '../support/run.js';
import { makeKey } from '../support/server.js';
import { Sshd } from '../support/sshd.js';

const world = new MountFixture('autossh');

const named = ({ host, port, user, knownHosts }: Sshd) => ({ host, port, user, knownHosts });

describe("autossh's variables", () => {
  it('a pid file, a log file, and a lifetime', async () => {
    const files = { pid: join(world.scope.directory, 'pid'), log: join(world.scope.directory, 'log') };
    const env = { AUTOSSH_PIDFILE: files.pid, AUTOSSH_LOGFILE: files.log, AUTOSSH_MAXLIFETIME: '4' };
    const mounted = await world.mount({ env });
    expect(await readFile(files.pid, 'utf8')).toBe(`${mounted.pid}\n`);
    await mounted.ended();
    expect(await stat(files.pid).catch(() => null)).toBeNull();
    expect(await readFile(files.log, 'utf8')).toContain('unmounting after 4 s (AUTOSSH_MAXLIFETIME)');
  });

  describe('a gate time of 0', () => {
    /** A mount of a server that is not there yet, when it has said so. */
    async function waiting(server: Sshd, env: Readonly<Record<string, string>> = {}) {
      const mountpoint = await world.remora.mountpoint();
      const [node, main] = world.remora.program;
      const source = `${server.user}@${server.host}:${world.disk}`;
      const args = [main, source, mountpoint, ...(await world.remora.login(server))];
      const child = start(node, args, {
        env: { ...world.remora.environment, AUTOSSH_GATETIME: '0', ...env },
      });
      let said = '';
      child.stderr?.on('data', (data: Buffer) => {
        said += data.toString();
      });
      await until('it to say so', async () => said.includes('\n'));
      expect(said).toMatch(/^remora: .* refuses the connection.*; trying again until it works\n$/);
      const ended = () => until('the command to end', async () => child.exitCode !== null);
      return { mountpoint, child, ended, said: () => said };
    }

    it('waits for a server that comes up later', async () => {
      const server = await Sshd.start(world.scope);
      await server.halt();
      const { mountpoint, child, ended, said } = await waiting(server);
      await server.resume();
      await ended();
      expect({ code: child.exitCode, lines: said().split('\n').length }).toEqual({ code: 0, lines: 2 });
      await (await world.remora.adopt(mountpoint)).unmount();
    });

    it('ends with Ctrl-C, or after as many starts as allowed', async () => {
      const server = await Sshd.start(world.scope);
      await server.halt();
      const interrupted = await waiting(server);
      interrupted.child.kill('SIGINT');
      await interrupted.ended();
      expect(interrupted.child.exitCode).toBe(130);
      const limited = await waiting(server, { AUTOSSH_MAXSTART: '2' });
      await limited.ended();
      expect(limited.child.exitCode).toBe(21);
      expect(limited.said()).toMatch(/given up after 2 tries/);
    });

    it('does not try again what the server refuses', async () => {
      const keyFile = await makeKey(world.scope, 'stranger');
      const server = { ...named(world.sshd), keyFile };
      const args = [`${world.sshd.user}@${world.sshd.host}:${world.disk}`, await world.remora.mountpoint()];
      const options = ['-o', 'connect_retry,IdentityAgent=none'];
      const finished = await world.remora.run([...args, ...(await world.remora.login(server)), ...options]);
      expect(finished.code).toBe(40);
      expect(finished.stderr).toMatch(/^remora: permission denied: [^\n]*\n$/);
    });
  });

  it('a number of starts, after which it is given up', async () => {
    const own = await Sshd.start(world.scope);
    const env = { AUTOSSH_MAXSTART: '2', AUTOSSH_POLL: '1' };
    const mounted = await world.remora.mount(own, world.disk, { env });
    await own.halt();
    await endProcesses(await own.sessions(), 'SIGKILL');
    await until('it to be given up', async () => {
      const { state, retryAt, attempts } = (await mounted.status()).link;
      return state === 'offline' && retryAt === null && attempts >= 2;
    });
    await mounted.unmount();
  });
});
