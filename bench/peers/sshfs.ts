/** sshfs with its default options, and the OpenSSH client that it starts. */
import { must } from '../../test/support/run.js';
import { mountInForeground } from './foreground.js';
import type { Client, Connection, Peer } from './peer.js';

export const sshfs: Peer = {
  name: 'sshfs',
  mounts: true,
  programs: { sshfs: 'sshfs', fusermount3: 'fuse3' },

  async version(): Promise<string> {
    const [, version = 'unknown'] = /SSHFS version (\S+)/.exec(await must('sshfs', ['-V'])) ?? [];
    return version;
  },

  connect({ scope, server, directory }: Connection): Promise<Client> {
    const login = [
      `IdentityFile=${server.keyFile}`,
      `UserKnownHostsFile=${server.knownHosts}`,
      'GlobalKnownHostsFile=/dev/null',
      'StrictHostKeyChecking=yes',
    ].join(',');
    const source = `${server.user}@${server.host}:${directory}`;
    return mountInForeground(scope, 'sshfs', (mountpoint) => [
      ...['-f', '-F', '/dev/null', '-p', String(server.port), '-o', login],
      ...[source, mountpoint],
    ]);
  },
};
