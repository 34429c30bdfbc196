/** Proxies that are spoken to without a program: what corkscrew, and nc -X 5, do for ssh. */
import { type Options, path, text } from '../kinds.js';

export const PROXY = {
  httpProxy: text({
    group: 'Connection',
    names: ['http_proxy'],
    placeholder: '[USER:PASSWORD@]HOST:PORT',
    fallback: null,
    help: 'HTTP proxy to reach the server, or the first host of ProxyJump, through (CONNECT).',
  }),
  httpProxyAuth: path({
    group: 'Connection',
    names: ['http_proxy_auth'],
    placeholder: 'FILE',
    fallback: null,
    help: 'File that holds USER:PASSWORD for the HTTP proxy, which only its owner may read. Without it: what the variable CORKSCREW_AUTH holds.',
  }),
  socksProxy: text({
    group: 'Connection',
    names: ['socks_proxy'],
    placeholder: '[socks4a://][USER:PASSWORD@]HOST:PORT',
    fallback: null,
    help: 'SOCKS proxy (version 5, or 4a) to reach the server, or the first host of ProxyJump, through; it looks names up.',
  }),
} as const satisfies Options;
