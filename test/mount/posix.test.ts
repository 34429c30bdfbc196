/**
 * The conformance suite on every backend. The plain directory is the oracle: a case that fails there is wrong
 * itself. A mount has to do the same, but for the deviations that are listed with their reasons.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ALL_BACKENDS,
  type Backend,
  closeBackend,
  DROPBEAR_BACKENDS,
  EXTREME_BACKENDS,
  PROGRAM_BACKEND,
} from '../support/backends.js';
import { casesFor, MOUNT_DEVIATIONS, PATIENT, PosixRunner } from '../support/posix-suite.js';

const KINDS = [...ALL_BACKENDS, ...DROPBEAR_BACKENDS, PROGRAM_BACKEND, ...EXTREME_BACKENDS];

describe.each(KINDS)('POSIX on $name', (kind) => {
  let backend: Backend;
  let runner: PosixRunner;

  beforeAll(async () => {
    backend = await kind.open('posix');
    runner = new PosixRunner(backend.scope, backend.as);
  });
  afterAll(async () => {
    await runner?.stop();
    if (backend) await closeBackend(backend);
  });

  const names = casesFor(kind.privileged ? 0 : 1);

  async function check(name: string): Promise<void> {
    const error = await runner.run(name, backend.directory, backend.disk);
    const deviation = backend.mounted ? MOUNT_DEVIATIONS[name] : undefined;
    if (deviation) expect(error, deviation.reason).toMatch(deviation.error);
    else expect(error).toBe(null);
  }

  it.each(names.filter((name) => !PATIENT.has(name)))('%s', check);
  it.concurrent.each(names.filter((name) => PATIENT.has(name)))('%s', check);
});
