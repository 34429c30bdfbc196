/** The options of one host as what its connection needs: pure, with names, tokens and paths resolved. */
import { resolve } from 'node:path';
import type { MountOptions } from '../config/parse.js';
import { formatJump, type Jump, parseProxyJump } from '../config/proxy-jump.js';
import { loginMethods } from '../config/ssh-config.js';
import { checkName } from '../config/target.js';
import { expandTokens, type LocalValues, type TokenValues } from '../config/tokens.js';
import { DIRECT } from '../ssh/route.js';
import { type ConnectSettings, expandHome } from '../ssh/settings.js';

/** Of the process: its user, machine, environment and directory. */
export interface Place {
  readonly local: LocalValues;
  /** The home directory that ssh knows, which need not be that of the environment. */
  readonly accountHome: string;
  /** What relative paths start from. */
  readonly directory: string;
}

export interface HostSettings {
  /** The options, with absolute paths, since the serving process works in `/`. */
  readonly options: MountOptions;
  /** Without a password, and without a way. */
  readonly settings: ConnectSettings;
  /** The hosts to go through as this host's configuration has it. */
  readonly jumps: readonly Jump[];
}

/**
 * @param bySsh the options have been through `ssh -G`, which has expanded what it expands
 * @throws OptionError for an unknown token, or an impossible name
 */
export function hostSettings(
  destination: Jump,
  options: MountOptions,
  bySsh: boolean,
  place: Place,
): HostSettings {
  const user = destination.user ?? options.user ?? place.local.user;
  const port = destination.port ?? options.port;
  const before: TokenValues = {
    host: destination.host,
    originalHost: destination.host,
    port,
    user,
    hostKeyAlias: options.hostKeyAlias,
    proxyJump: options.proxyJump ?? '',
    local: place.local,
  };
  const named = options.hostName ?? destination.host;
  const host = bySsh ? named : expandTokens('HostName', named, before, false);
  checkName('host', host);
  checkName('user', user);
  const values = { ...before, host };

  const absolute = (path: string) =>
    path === 'none' ? path : resolve(place.directory, expandHome(path, place.local.home));
  const expanded = (keyword: string) => (path: string) => absolute(expandTokens(keyword, path, values));
  const unlessBySsh = (keyword: string) => (bySsh ? absolute : expanded(keyword));
  const { identityAgent: agent, proxyJump } = options;
  const absoluteOptions = {
    ...options,
    user,
    port,
    identityFiles: options.identityFiles.map(expanded('IdentityFile')),
    certificateFiles: options.certificateFiles.map(expanded('CertificateFile')),
    userKnownHostsFiles: options.userKnownHostsFiles.map(unlessBySsh('UserKnownHostsFile')),
    globalKnownHostsFiles: options.globalKnownHostsFiles.map(absolute),
    revokedHostKeys: options.revokedHostKeys === null ? null : absolute(options.revokedHostKeys),
    controlPath: options.controlPath === null ? null : unlessBySsh('ControlPath')(options.controlPath),
    // Which variable names the socket is known only to whoever connects to it.
    identityAgent: /^(SSH_AUTH_SOCK$|\$)/.test(agent) ? agent : unlessBySsh('IdentityAgent')(agent),
  };
  return {
    options: absoluteOptions,
    settings: {
      ...absoluteOptions,
      host,
      originalHost: destination.host,
      password: null,
      preferredAuthentications: loginMethods(options),
      route: DIRECT,
      configFile: null,
      sshOptions: [],
    },
    jumps: proxyJump === null ? [] : parseProxyJump(expandTokens('ProxyJump', proxyJump, values, false)),
  };
}

/** Where a connection goes, for a person: `bob@host:2200 through a and b`. */
export function describeWay({ host, port, user, route }: ConnectSettings): string {
  const hops = route.hops.map((hop) => formatJump({ user: hop.user, host: hop.host, port: hop.port }));
  return formatJump({ user, host, port }) + (hops.length === 0 ? '' : ` through ${hops.join(', ')}`);
}
