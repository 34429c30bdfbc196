/** What a serving process says of itself over its control socket, and one that says it. */
import type { MountDetails, MountStatus } from '../../src/cli/control-protocol.js';
import type { ControlHandler } from '../../src/cli/control-server.js';

export const STATUS = {
  source: 'me@host:',
  mountpoint: '/mnt',
  state: 'serving',
  pid: 77,
  since: 1_000_000,
  link: {
    state: 'connected',
    since: 1_000_000,
    reason: null,
    attempts: 0,
    retryAt: null,
    needsPerson: false,
  },
  driver: 'direct',
  server: 'OpenSSH_9',
  connections: 1,
  lanes: 0,
  watch: { mode: 'inotify', program: 'python3', directories: 2, reason: null },
  log: null,
  filesystem: {
    openFiles: 0,
    openDirectories: 0,
    inFlight: 0,
    queued: 0,
    dirtyBytes: 0,
    dirtyAge: null,
    posted: 0,
    postedFailed: 0,
    cachedBytes: 0,
    cacheLimit: 128 * 1024 * 1024,
    lentBytes: 0,
    cacheHits: 0,
    cacheMisses: 0,
    disk: null,
    attributeHits: 0,
    attributeMisses: 0,
    cachedAttributes: 0,
    cachedListings: 0,
    prefetch: {
      fetched: { files: 0, bytes: 0 },
      used: { files: 0, bytes: 0 },
      inVain: { files: 0, bytes: 0 },
    },
  },
  kernel: {
    state: 'serving',
    inFlight: 0,
    nodes: 1,
    openFiles: 0,
    openDirectories: 0,
    queuedNotifications: 0,
    opcodes: {},
  },
} satisfies MountStatus;

export const DETAILS: MountDetails = {
  ...STATUS,
  traffic: { received: 0, sent: 0, receiveRate: 0, sendRate: 0, roundTrip: null },
  unsent: [],
  handles: [],
  calls: {},
  requests: {},
  failures: [],
};

export const QUIET: ControlHandler = {
  status: () => STATUS,
  inspect: () => DETAILS,
  unsent: () => [],
  flush: async () => [],
  refresh: async () => {},
  reconnect: async () => {},
  stop: async () => [],
};
