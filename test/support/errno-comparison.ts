/**
 * Compares how calls end on a directory and through a mount of OpenSSH: both are furnished alike, and every case has
 * to end alike on both, or as the case says for a mount.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ErrnoCase, endings } from './errno-driver.js';
import { type Mounted, Remora } from './remora.js';
import type { Identity } from './run.js';
import { Scope } from './scope.js';
import { Sshd } from './sshd.js';

export interface ErrnoWorld {
  /** Puts into a directory what the cases need beyond a directory of their own. */
  readonly furnish?: (root: string, scope: Scope) => Promise<void>;
  /** Whom the cases run as, and who logs in; this process's own user when absent. */
  readonly user?: (scope: Scope) => Promise<Identity>;
}

export function compareErrno(what: string, cases: readonly ErrnoCase[], world: ErrnoWorld = {}): void {
  describe(what, () => {
    let scope: Scope;
    let mount: Mounted;
    let local: Readonly<Record<string, string>>;
    let mounted: Readonly<Record<string, string>>;

    beforeAll(async () => {
      scope = await Scope.open('errno');
      const as = await world.user?.(scope);
      const plain = await scope.makeDirectory('local', as);
      const disk = await scope.makeDirectory('disk', as);
      for (const root of [plain, disk]) await world.furnish?.(root, scope);
      const sshd = await Sshd.start(scope, { sftp: 'external', ...(as && { user: as.name }) });
      mount = await (await Remora.create(scope, as)).mount(sshd, disk);
      local = await endings(scope, plain, cases, as);
      mounted = await endings(scope, mount.directory, cases, as);
    });
    afterAll(async () => {
      try {
        await mount?.unmount();
      } finally {
        await scope?.close();
      }
    });

    for (const [name, errno, , onMount = errno] of cases) {
      it(`${name}: ${errno}`, () => {
        expect({ local: local[name], mounted: mounted[name] }).toEqual({ local: errno, mounted: onMount });
      });
    }
  });
}
