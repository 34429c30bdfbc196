/** Options for what happens when the server cannot be reached. */
import { DAY, flag, integer, type Options, seconds } from '../kinds.js';

/** Seconds that stand for "for ever"; JSON knows no infinity. */
export const FOREVER = Number.MAX_SAFE_INTEGER;

export const RECOVERY = {
  timeout: seconds({
    group: 'Recovery',
    names: ['timeout'],
    words: { soft: 0, hard: FOREVER },
    min: 0,
    max: DAY,
    fallback: 60,
    help: 'How long a call waits while the server cannot be reached. soft (or 0): not at all; hard: for ever.',
    more: 'After that time the call fails with ETIMEDOUT. What was written and not sent yet is kept, and sent when the server is there again. Ctrl-C ends a call that waits.',
  }),
  reconnect: flag({
    group: 'Recovery',
    names: ['reconnect'],
    off: ['no_reconnect'],
    fallback: true,
    help: 'Connect again when the connection is lost.',
  }),
  reconnectMax: integer({
    group: 'Recovery',
    names: ['reconnect_max'],
    min: 0,
    max: 1_000_000,
    fallback: 0,
    help: 'Failed tries in a row after which nothing more is tried; 0: never.',
  }),
  connectRetry: flag({
    group: 'Recovery',
    names: ['connect_retry'],
    off: ['no_connect_retry'],
    fallback: false,
    help: 'Try the first connection again, too, where the network or the server is not up yet.',
  }),
} as const satisfies Options;
