/** The conformance suite on the portable driver: what it cannot do is listed with its reasons, and nothing else. */
import { describe } from 'vitest';
import { LIBFUSE_BACKENDS } from '../support/backends.js';
import { describePosix } from '../support/posix-mounts.js';
import { LIBFUSE_DEVIATIONS, MOUNT_DEVIATIONS } from '../support/posix-suite.js';

describe.skipIf(process.arch !== 'x64')('fuse-native has a libfuse for x86-64 alone', () => {
  describePosix(LIBFUSE_BACKENDS, { ...MOUNT_DEVIATIONS, ...LIBFUSE_DEVIATIONS });
});
