/** The conformance suite over other servers, another transport, and with options that change how everything is done. */
import { DROPBEAR_BACKENDS, EXTREME_BACKENDS, PROGRAM_BACKEND } from '../support/backends.js';
import { describePosix } from '../support/posix-mounts.js';
import { MOUNT_DEVIATIONS } from '../support/posix-suite.js';

describePosix([...DROPBEAR_BACKENDS, PROGRAM_BACKEND, ...EXTREME_BACKENDS], MOUNT_DEVIATIONS);
