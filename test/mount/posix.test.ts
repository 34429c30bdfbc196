/** The conformance suite on every backend. The plain directory is the oracle: a case that fails there is wrong itself. */
import { ALL_BACKENDS } from '../support/backends.js';
import { describePosix } from '../support/posix-mounts.js';
import { MOUNT_DEVIATIONS } from '../support/posix-suite.js';

describePosix(ALL_BACKENDS, MOUNT_DEVIATIONS);
