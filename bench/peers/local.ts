/** The server's directory itself, without any network: what a warm cache is compared with. */
import type { Client, Connection, Peer } from './peer.js';

export const local: Peer = {
  name: 'local',
  mounts: true,
  programs: {},
  version: async () => process.version,

  async connect({ directory }: Connection): Promise<Client> {
    const unsupported = () => Promise.reject(new Error('not measured locally'));
    return {
      directory,
      processes: async () => [],
      read: unsupported,
      write: unsupported,
      close: async () => {},
    };
  },
};
