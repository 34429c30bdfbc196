/** The conformance suite where programs are answered before the server has confirmed. */
import { ASYNC_BACKENDS } from '../support/backends.js';
import { describePosix } from '../support/posix-mounts.js';
import { ASYNC_DEVIATIONS, MOUNT_DEVIATIONS } from '../support/posix-suite.js';

describePosix(ASYNC_BACKENDS, { ...MOUNT_DEVIATIONS, ...ASYNC_DEVIATIONS });
