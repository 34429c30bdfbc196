#!/usr/bin/env node
/**
 * A volume plugin for Docker: directories of SSH servers as volumes, with the options of vieux/sshfs. This file speaks
 * the plugin protocol, JSON over HTTP on a unix socket; what the calls mean is in volumes.mjs.
 *
 * https://docs.docker.com/engine/extend/plugins_volume/
 *
 * Environment: SOCKET, where Docker looks for plugins; VOLUMES, below which volumes are mounted; STATE, a directory for
 * what is remembered; UNMOUNT_AT_END=1 where no process outlives this one, as in a managed plugin.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { Volumes } from './volumes.mjs';

const {
  SOCKET = '/run/docker/plugins/remora.sock',
  VOLUMES = '/mnt/volumes',
  STATE = '/mnt/state',
  UNMOUNT_AT_END,
} = process.env;

const CONTENT_TYPE = 'application/vnd.docker.plugins.v1.2+json';
/** Bytes of a request; Docker's are short. */
const REQUEST_MAX = 1024 * 1024;

const volumes = await Volumes.open(STATE, VOLUMES);

const CALLS = {
  '/Plugin.Activate': () => ({ Implements: ['VolumeDriver'] }),
  '/VolumeDriver.Capabilities': () => ({ Capabilities: { Scope: 'local' } }),
  '/VolumeDriver.Create': ({ Name, Opts }) => volumes.create(Name, Opts ?? {}),
  '/VolumeDriver.Remove': ({ Name }) => volumes.remove(Name),
  '/VolumeDriver.Mount': async ({ Name, ID }) => ({ Mountpoint: await volumes.mount(Name, ID) }),
  '/VolumeDriver.Unmount': ({ Name, ID }) => volumes.unmount(Name, ID),
  '/VolumeDriver.Path': ({ Name }) => ({ Mountpoint: volumes.mountpoint(Name) }),
  '/VolumeDriver.Get': async ({ Name }) => ({ Volume: await volumes.get(Name) }),
  '/VolumeDriver.List': () => ({ Volumes: volumes.list() }),
};

async function readJson(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > REQUEST_MAX) throw new Error('the request is too long');
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? {} : JSON.parse(text);
}

async function answer(request, response) {
  const send = (code, body) => {
    response.writeHead(code, { 'Content-Type': CONTENT_TYPE }).end(JSON.stringify(body));
  };
  const call = Object.hasOwn(CALLS, request.url) ? CALLS[request.url] : null;
  if (call === null) return send(404, { Err: `there is no ${request.url}` });
  try {
    send(200, { Err: '', ...(await call(await readJson(request))) });
  } catch (error) {
    console.error(`${request.url}: ${error.message}`);
    send(500, { Err: error.message });
  }
}

const server = createServer(answer);
await rm(SOCKET, { force: true });
server.listen(SOCKET, async () => {
  await chmod(SOCKET, 0o600);
  console.log(`listening on ${SOCKET}`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    server.close();
    if (UNMOUNT_AT_END === '1') await volumes.unmountAll();
    process.exit(0);
  });
}
