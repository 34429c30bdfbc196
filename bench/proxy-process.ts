/** The proxy as a process: its parent sends a {@link ProxyRequest} over IPC and is answered the port. */
import { type ProxyRequest, startProxy } from './proxy.js';

export interface ProxyAnswer {
  readonly port: number;
}

process.once('message', async (request: ProxyRequest) => {
  const { port } = await startProxy(request);
  process.send?.({ port } satisfies ProxyAnswer);
});
process.once('disconnect', () => process.exit());
