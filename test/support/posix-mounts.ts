/**
 * The conformance suite on backends. A mount has to do what the plain directory does, but for the deviations that
 * are listed with their reasons.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Backend, type BackendKind, closeBackend } from './backends.js';
import { casesFor, type Deviation, PATIENT, PosixRunner } from './posix-suite.js';

/** Declares the tests; `deviations` are those of mounts. */
export function describePosix(
  kinds: readonly BackendKind[],
  deviations: Readonly<Record<string, Deviation>>,
): void {
  describe.each(kinds)('POSIX on $name', (kind) => {
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
      const deviation = backend.mounted ? deviations[name] : undefined;
      if (error === null && deviation?.mayPass) return;
      if (deviation) expect(error, deviation.reason).toMatch(deviation.error);
      else expect(error).toBe(null);
    }

    it.each(names.filter((name) => !PATIENT.has(name)))('%s', check);
    it.concurrent.each(names.filter((name) => PATIENT.has(name)))('%s', check);
  });
}
