/** The debug log: `DEBUG=remora:*`, one namespace a layer. Secrets never go in. */
import createDebug from 'debug';

export type Logger = (format: string, ...args: unknown[]) => void;

export function logger(layer: string): Logger & { readonly enabled: boolean } {
  return createDebug(`remora:${layer}`);
}
