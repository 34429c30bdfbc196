/** From a route to the bytes of one SSH server: straight, through a proxy, or through the host before it. */
import { printable } from '../base/printable.js';
import type { Carrier } from './carrier.js';
import { type DialSettings, dial } from './dial.js';
import { ConnectError, describeServer, explain } from './errors.js';
import { Incoming } from './incoming.js';
import { runCommand } from './proxy/command.js';
import { tunnelHttp } from './proxy/http.js';
import { tunnelSocks4, tunnelSocks4a, tunnelSocks5 } from './proxy/socks.js';
import { Relay } from './relay.js';
import type { SocketProxy } from './route.js';
import type { ConnectSettings, Surroundings } from './settings.js';
import type { Ssh2Connection } from './ssh2-connection.js';

const TUNNELS = { http: tunnelHttp, socks: tunnelSocks5, socks4: tunnelSocks4, socks4a: tunnelSocks4a };

/**
 * @param address of the host, or its name
 * @param hop the connection to the host before it, if there is one, which belongs to the result from then on
 * @throws ConnectError, or why `signal` aborted
 */
export async function reach(
  settings: ConnectSettings,
  address: string,
  hop: Ssh2Connection | null,
  { environment }: Surroundings,
  signal: AbortSignal,
): Promise<Carrier> {
  const { host, port } = settings;
  const { proxy } = settings.route;
  if (hop !== null) return overHop(hop, host, port);
  if (proxy === null) {
    return dial(address, port, settings, signal).catch((error: unknown) => {
      throw signal.aborted ? signal.reason : explain(error, 'dialling', host, port);
    });
  }
  if (proxy.kind === 'command') return runCommand(proxy.command, settings, environment);
  return overProxy(proxy, settings, signal);
}

async function overHop(hop: Ssh2Connection, host: string, port: number): Promise<Carrier> {
  const channel = await hop.openTunnel(host, port);
  const incoming = new Incoming();
  const relay = new Relay(channel, channel, incoming);
  channel.once('end', () => relay.finish());
  channel.once('close', () => relay.destroy());
  channel.on('error', (error) => relay.destroy(error));
  relay.once('close', () => void hop.close());
  const abandon = () => {
    hop.fail(new ConnectError('lost', 'what goes through it was given up'));
    relay.destroy();
  };
  return { stream: relay, incoming, address: null, abandon };
}

/**
 * A tunnel through a proxy to the host of `settings`.
 * @throws ConnectError, or why `signal` aborted
 */
export async function overProxy(
  proxy: SocketProxy,
  settings: DialSettings & Pick<ConnectSettings, 'host' | 'port'>,
  signal: AbortSignal,
): Promise<Carrier> {
  const { host, port } = settings;
  const name = `${proxy.kind === 'http' ? 'HTTP' : 'SOCKS'} proxy ${printable(proxy.host)} port ${proxy.port}`;
  const tell = (error: unknown) => {
    if (signal.aborted) throw signal.reason;
    const { kind } = explain(error, 'dialling', proxy.host, proxy.port);
    const why = error instanceof Error ? printable(error.message) : String(error);
    const text = `cannot reach ${describeServer(host, port)} through the ${name}: ${why}`;
    // What is no error of a socket is the proxy's own doing.
    throw new ConnectError(kind === 'protocol' ? 'proxy' : kind, text, { cause: error });
  };
  const carrier = await dial(proxy.host, proxy.port, settings, signal).catch(tell);
  await TUNNELS[proxy.kind](carrier.stream, host, port, proxy, signal).catch((error: unknown) => {
    carrier.abandon();
    return tell(error);
  });
  return { ...carrier, address: null };
}
