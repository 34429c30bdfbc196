/**
 * How the library fails: one error with the name of the exit code that the command would end with
 * (docs/COMMANDS.md), so that a program and a script tell failures apart by the same words.
 */
import { ControlError } from '../cli/control-client.js';
import type { Ending } from '../cli/daemon-process.js';
import { type ExitName, failureOf } from '../cli/exit.js';

/** `refused`, `host-key-unknown`, `mountpoint-not-empty`, `busy`, `unsent` and so on. */
export type RemoraErrorCode = Exclude<ExitName, 'ok'>;

export class RemoraError extends Error {
  readonly code: RemoraErrorCode;

  constructor(code: RemoraErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RemoraError';
    this.code = code;
  }
}

/** Whatever was thrown below, as the library's error. */
export function asRemoraError(error: unknown): RemoraError {
  if (error instanceof RemoraError) return error;
  const { exit, message } = error instanceof ControlError ? ofControl(error) : failureOf(error);
  return new RemoraError(exit === 'ok' ? 'failure' : exit, message, { cause: error });
}

function ofControl({ kind, exit, message }: ControlError): { exit: ExitName; message: string } {
  return kind === 'dead' ? { exit: 'not-mounted', message: 'the mount has ended' } : { exit, message };
}

/** Null for a mount that ended as it should. */
export function errorOf({ exit, text }: Ending): RemoraError | null {
  return exit === 'ok' ? null : new RemoraError(exit, text);
}

/** Runs `work`, whose failures become the library's. */
export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asRemoraError(error);
  }
}
