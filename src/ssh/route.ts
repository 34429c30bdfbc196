/** How bytes reach a server: straight, through a proxy, or through other SSH servers. */
import type { ConnectSettings } from './settings.js';

/** An SSH server on the way. Its own `route` is not looked at: what comes before it stands before it in `hops`. */
export type Hop = ConnectSettings;

/** A proxy that is spoken to on a socket. */
export interface SocketProxy {
  /** `socks` is version 5. With version 4, names are looked up here; with 4a, as with the others, by the proxy. */
  readonly kind: 'http' | 'socks' | 'socks4' | 'socks4a';
  readonly host: string;
  readonly port: number;
  readonly user: string | null;
  readonly password: string | null;
}

export type Proxy =
  /** As ssh_config has it, tokens and all. */
  { readonly kind: 'command'; readonly command: string } | SocketProxy;

export interface Route {
  /** In the order in which they are passed. */
  readonly hops: readonly Hop[];
  /** What the first of them, or the server itself, is reached through. */
  readonly proxy: Proxy | null;
}

export const DIRECT: Route = { hops: [], proxy: null };
