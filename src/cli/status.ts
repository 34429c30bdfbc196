/**
 * `remora status`: how mounts are, told to a person, to a program as JSON, or to a monitoring system. With `--watch`
 * see watch.ts.
 */
import { formatMetrics } from './metrics.js';
import { reportsOf } from './report.js';
import { formatStatus, ONCE } from './status-text.js';

export type StatusForm = 'text' | 'json' | 'metrics';

export interface StatusRequest {
  /** Null for every mount. */
  readonly mountpoint: string | null;
  readonly form: StatusForm;
}

/** Text for standard output, of one mount or of all. Throws as `reportsOf` does. */
export async function status(
  { mountpoint, form }: StatusRequest,
  env: NodeJS.ProcessEnv,
  uid: number,
): Promise<string> {
  const reports = await reportsOf(mountpoint, env, uid);
  switch (form) {
    case 'text':
      return formatStatus(reports, Date.now(), ONCE);
    case 'metrics':
      return formatMetrics(reports);
    case 'json':
      return `${JSON.stringify(mountpoint === null ? reports : reports[0], null, 2)}\n`;
  }
}
