/** The debug log: `DEBUG=remora:*`, one namespace a layer. Secrets never go in. */
import { format } from 'node:util';
import createDebug from 'debug';

export type Logger = (format: string, ...args: unknown[]) => void;

export function logger(layer: string): Logger & { readonly enabled: boolean } {
  return createDebug(`remora:${layer}`);
}

/** From now on lines go to `write`, their ends included, instead of standard error. */
export function setLogSink(write: (line: string) => void): void {
  createDebug.log = (...args: unknown[]) => write(`${format(...args)}\n`);
}
