/**
 * The words of ssh_config that are not options of the schema, from OpenSSH 3 to 10 and Debian's additions. What a
 * person may write in a file of ssh's, or after ssh's `-o`, is accepted after Remora's, too.
 */

export interface SshKeyword {
  readonly names: readonly string[];
  /**
   * 'resolution': `ssh -G` is told, since it decides what the other words come to. 'openssh': means something to the
   * ssh program alone. 'none': nothing of a mount depends on it.
   */
  readonly effect: 'resolution' | 'openssh' | 'none';
  readonly reason: string;
}

const keywords = (effect: SshKeyword['effect'], reason: string, ...names: string[]): SshKeyword => ({
  names,
  effect,
  reason,
});

export const SSH_KEYWORDS: readonly SshKeyword[] = [
  keywords(
    'resolution',
    'it decides how ssh reads its configuration',
    'CanonicalDomains',
    'CanonicalizeFallbackLocal',
    'CanonicalizeHostname',
    'CanonicalizeMaxDots',
    'CanonicalizePermittedCNAMEs',
    'IgnoreUnknown',
    'Include',
    'Tag',
  ),
  keywords(
    'openssh',
    'only transport=openssh knows it',
    'AddKeysToAgent',
    'CASignatureAlgorithms',
    'ConnectionAttempts',
    'ControlPersist',
    'EnableSSHKeysign',
    'FingerprintHash',
    'GSSAPIClientIdentity',
    'GSSAPIDelegateCredentials',
    'GSSAPIKexAlgorithms',
    'GSSAPIKeyExchange',
    'GSSAPIRenewalForcesRekey',
    'GSSAPIServerIdentity',
    'GSSAPITrustDns',
    'HostbasedAcceptedAlgorithms',
    'HostbasedKeyTypes',
    'IPQoS',
    'KbdInteractiveDevices',
    'LogLevel',
    'LogVerbose',
    'NoHostAuthenticationForLocalhost',
    'ProxyUseFdpass',
    'RefuseConnection',
    'RekeyLimit',
    'RequiredRSASize',
    'SendEnv',
    'SetEnv',
    'SyslogFacility',
    'UpdateHostKeys',
    'UseKeychain',
    'VerifyHostKeyDNS',
    'VersionAddendum',
    'VisualHostKey',
    'WarnWeakCrypto',
  ),
  keywords(
    'none',
    'a mount forwards nothing',
    'ClearAllForwardings',
    'DynamicForward',
    'ExitOnForwardFailure',
    'ForwardAgent',
    'ForwardX11',
    'ForwardX11Timeout',
    'ForwardX11Trusted',
    'GatewayPorts',
    'LocalForward',
    'PermitRemoteOpen',
    'RemoteForward',
    'StreamLocalBindMask',
    'StreamLocalBindUnlink',
    'Tunnel',
    'TunnelDevice',
    'XAuthLocation',
  ),
  keywords(
    'none',
    'a mount has no session to type in',
    'ChannelTimeout',
    'EnableEscapeCommandline',
    'EscapeChar',
    'ForkAfterAuthentication',
    'LocalCommand',
    'ObscureKeystrokeTiming',
    'PermitLocalCommand',
    'RemoteCommand',
    'RequestTTY',
    'SessionType',
    'StdinNull',
  ),
  keywords(
    'none',
    'ssh itself has given it up',
    'AFSTokenPassing',
    'Cipher',
    'CompressionLevel',
    'FallBackToRsh',
    'GlobalKnownHostsFile2',
    'IdentityFile2',
    'KerberosAuthentication',
    'KerberosTGTPassing',
    'Protocol',
    'RhostsAuthentication',
    'RhostsRSAAuthentication',
    'RSAAuthentication',
    'UsePrivilegedPort',
    'UserKnownHostsFile2',
    'UseRoaming',
    'UseRsh',
  ),
];
