/**
 * `rclone mount` of its SFTP backend with its default options: no cache of file content, since with one the
 * data would go to the server some time after close, and there would be nothing to compare.
 */
import { must } from '../../test/support/run.js';
import { mountInForeground } from './foreground.js';
import type { Client, Connection, Peer } from './peer.js';

export const rclone: Peer = {
  name: 'rclone',
  mounts: true,
  programs: { rclone: 'rclone', fusermount3: 'fuse3' },

  async version(): Promise<string> {
    const [, version = 'unknown'] = /rclone v(\S+)/.exec(await must('rclone', ['version'])) ?? [];
    return version;
  },

  connect({ scope, server, directory }: Connection): Promise<Client> {
    return mountInForeground(scope, 'rclone', (mountpoint) => [
      ...['mount', `:sftp:${directory}`, mountpoint, '--config', '/dev/null'],
      ...['--sftp-host', server.host, '--sftp-port', String(server.port), '--sftp-user', server.user],
      ...['--sftp-key-file', server.keyFile, '--sftp-known-hosts-file', server.knownHosts],
    ]);
  },
};
