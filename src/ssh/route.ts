/** How bytes reach a server: straight, through a proxy, or through other SSH servers. */
import type { ConnectSettings } from './settings.js';

/** An SSH server on the way. Its own `route` is not looked at: what comes before it stands before it in `hops`. */
export type Hop = ConnectSettings;

export type Proxy =
  /** As ssh_config has it, tokens and all. */
  | { readonly kind: 'command'; readonly command: string }
  | {
      /** SOCKS 5, or 4a. */
      readonly kind: 'http' | 'socks' | 'socks4';
      readonly host: string;
      readonly port: number;
      readonly user: string | null;
      readonly password: string | null;
    };

export interface Route {
  /** In the order in which they are passed. */
  readonly hops: readonly Hop[];
  /** What the first of them, or the server itself, is reached through. */
  readonly proxy: Proxy | null;
}

export const DIRECT: Route = { hops: [], proxy: null };
