/**
 * Option words that change nothing in Remora: those of sshfs and libfuse that have no use here, those that
 * belong to mount(8) and init systems, and those that are refused because they are not supported yet.
 * Every one carries its reason, for the log and for the error message.
 */

export interface ForeignWord {
  readonly names: readonly string[];
  readonly effect: 'ignored' | 'refused';
  readonly reason: string;
}

const ignored = (reason: string, ...names: string[]): ForeignWord => ({ names, effect: 'ignored', reason });
const refused = (reason: string, ...names: string[]): ForeignWord => ({ names, effect: 'refused', reason });

/** A name that ends in `*` stands for all that begin with what is before it. */
export const FOREIGN: readonly ForeignWord[] = [
  ignored('Renames and times need no workaround here.', 'workaround'),
  ignored(
    'the caches evict what is old when they are full.',
    'dcache_clean_interval',
    'dcache_min_clean_interval',
    'cache_clean_interval',
    'cache_min_clean_interval',
  ),
  ignored('open always asks whether the file changed.', 'auto_cache', 'ac_attr_timeout'),
  ignored('inodes are kept as long as the kernel knows them.', 'remember', 'noforget'),
  ignored('large requests are always used.', 'big_writes', 'large_read', 'max_readahead'),
  ignored('a call that waits is ended by a fatal signal.', 'intr', 'intr_signal'),
  ignored('open files survive being removed.', 'hard_remove'),
  ignored('data arrives over SSH, so there is nothing to splice.', 'splice_*', 'no_splice_*'),
  ignored(
    'the server keeps the access times.',
    'nodiratime',
    'diratime',
    'relatime',
    'norelatime',
    'strictatime',
    'nostrictatime',
  ),
  ignored('requests are always served concurrently.', 'async_read', 'sync_read', 'no_remote_lock'),
  ignored('a word for mount(8) or the init system.', 'auto', 'noauto', 'user', 'nouser', 'users', 'nousers'),
  ignored('a word for mount(8) or the init system.', 'owner', 'group', '_netdev', 'nofail', 'defaults'),
  ignored('a word for mount(8) or the init system.', 'async', 'x-*', 'comment', 'uhelper', 'helper'),
  refused('Remora passes names through as bytes', 'from_code', 'to_code'),
  refused('is not supported yet', 'uidfile', 'gidfile', 'nomap'),
  refused('is not supported yet', 'follow_symlinks', 'transform_symlinks', 'rellinks', 'norellinks'),
  refused('is not supported yet', 'ssh_command', 'ssh_protocol', 'directport', 'passive', 'slave'),
  refused('is not supported yet', 'delay_connect', 'allow_root'),
  refused('is not supported yet', 'sync', 'dirsync', 'sshfs_debug', 'sshfs_verbose'),
  refused('is not supported yet', 'AddKeysToAgent', 'AddressFamily', 'BindAddress', 'BindInterface'),
  refused('is not supported yet', 'CanonicalDomains', 'CanonicalizeFallbackLocal', 'CanonicalizeHostname'),
  refused('is not supported yet', 'CanonicalizeMaxDots', 'CanonicalizePermittedCNAMEs'),
  refused('is not supported yet', 'CASignatureAlgorithms', 'CertificateFile', 'ChannelTimeout'),
  refused('is not supported yet', 'CheckHostIP', 'Ciphers', 'ClearAllForwardings', 'ConnectionAttempts'),
  refused('is not supported yet', 'ControlMaster', 'ControlPath', 'ControlPersist', 'DynamicForward'),
  refused('is not supported yet', 'EnableSSHKeysign', 'EscapeChar', 'ExitOnForwardFailure'),
  refused('is not supported yet', 'FingerprintHash', 'ForkAfterAuthentication', 'ForwardAgent'),
  refused('is not supported yet', 'ForwardX11', 'ForwardX11Timeout', 'ForwardX11Trusted', 'GatewayPorts'),
  refused('is not supported yet', 'GSSAPIAuthentication', 'GSSAPIDelegateCredentials', 'HashKnownHosts'),
  refused('is not supported yet', 'HostbasedAcceptedAlgorithms', 'HostbasedAuthentication', 'HostName'),
  refused('is not supported yet', 'HostKeyAlgorithms', 'IgnoreUnknown', 'Include', 'IPQoS'),
  refused('is not supported yet', 'KbdInteractiveAuthentication', 'KbdInteractiveDevices', 'KexAlgorithms'),
  refused('is not supported yet', 'ChallengeResponseAuthentication', 'KnownHostsCommand', 'LocalCommand'),
  refused('is not supported yet', 'LocalForward', 'LogLevel', 'LogVerbose', 'MACs'),
  refused('is not supported yet', 'NoHostAuthenticationForLocalhost', 'ObscureKeystrokeTiming'),
  refused('is not supported yet', 'PasswordAuthentication', 'PermitLocalCommand', 'PermitRemoteOpen'),
  refused('is not supported yet', 'PKCS11Provider', 'ProxyCommand', 'ProxyJump', 'ProxyUseFdpass'),
  refused('is not supported yet', 'PubkeyAcceptedAlgorithms', 'PubkeyAcceptedKeyTypes'),
  refused('is not supported yet', 'PubkeyAuthentication', 'RekeyLimit', 'RemoteCommand', 'RemoteForward'),
  refused('is not supported yet', 'RequestTTY', 'RequiredRSASize', 'RevokedHostKeys'),
  refused('is not supported yet', 'SecurityKeyProvider', 'SendEnv', 'SessionType', 'SetEnv', 'StdinNull'),
  refused('is not supported yet', 'StreamLocalBindMask', 'StreamLocalBindUnlink', 'SyslogFacility'),
  refused('is not supported yet', 'Tag', 'TCPKeepAlive', 'Tunnel', 'TunnelDevice', 'UpdateHostKeys'),
  refused('is not supported yet', 'VerifyHostKeyDNS', 'VisualHostKey', 'XAuthLocation'),
];
