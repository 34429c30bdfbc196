/** Further words of ssh_config that have an effect; those most people meet are in connection.ts. */
import { choice, eachPath, flag, library, list, type Options, path, text } from '../kinds.js';

/** Empty for the choice of the transport, which is the fastest one that is safe. */
const algorithms = (name: string, what: string, ...aliases: string[]) =>
  list({
    group: 'Connection',
    names: [name, ...aliases],
    placeholder: 'LIST',
    fallback: [],
    help: `${what} to offer, best first, separated by escaped commas (\\,).`,
  });

export const SSH_CONFIG = {
  hostName: text({
    group: 'Connection',
    names: ['HostName'],
    placeholder: 'NAME',
    fallback: null,
    help: 'Name or address to connect to, instead of the host that the source names.',
  }),
  proxyJump: text({
    group: 'Connection',
    names: ['ProxyJump'],
    placeholder: '[USER@]HOST[:PORT]',
    fallback: null,
    help: "Hosts to reach the server through, separated by escaped commas (\\,), each with its own configuration; or 'none'.",
  }),
  proxyCommand: text({
    group: 'Connection',
    names: ['ProxyCommand'],
    placeholder: 'COMMAND',
    fallback: null,
    help: "Command whose standard input and output are the connection to the server; or 'none'.",
  }),
  addressFamily: choice({
    group: 'Connection',
    names: ['AddressFamily'],
    choices: ['any', 'inet', 'inet6'],
    fallback: 'any',
    help: 'Addresses to connect to: IPv4 (inet), IPv6 (inet6) or any.',
  }),
  bindAddress: text({
    group: 'Connection',
    names: ['BindAddress'],
    placeholder: 'ADDRESS',
    fallback: null,
    help: 'Address of this machine to connect from.',
  }),
  bindInterface: text({
    group: 'Connection',
    names: ['BindInterface'],
    placeholder: 'NAME',
    fallback: null,
    help: 'Network interface of this machine to connect from.',
  }),
  tcpKeepAlive: flag({
    group: 'Connection',
    names: ['TCPKeepAlive', 'KeepAlive'],
    fallback: true,
    help: 'Let the kernel look, too, whether the server is there.',
  }),
  certificateFiles: eachPath({
    group: 'Connection',
    names: ['CertificateFile'],
    help: 'Certificate of a key to log in with; may be repeated.',
  }),
  pubkeyAuthentication: flag({
    group: 'Connection',
    names: ['PubkeyAuthentication', 'DSAAuthentication'],
    fallback: true,
    help: 'Log in with keys. (As with the next two: PreferredAuthentications says the order.)',
  }),
  kbdInteractiveAuthentication: flag({
    group: 'Connection',
    names: [
      'KbdInteractiveAuthentication',
      'ChallengeResponseAuthentication',
      'SkeyAuthentication',
      'TISAuthentication',
    ],
    fallback: true,
    help: "Log in by answering the server's questions.",
  }),
  passwordAuthentication: flag({
    group: 'Connection',
    names: ['PasswordAuthentication'],
    fallback: true,
    help: 'Log in with a password.',
  }),
  gssapiAuthentication: flag({
    group: 'Connection',
    names: ['GSSAPIAuthentication'],
    fallback: false,
    help: 'Log in with Kerberos (transport=openssh).',
  }),
  hostbasedAuthentication: flag({
    group: 'Connection',
    names: ['HostbasedAuthentication'],
    fallback: false,
    help: "Log in with this machine's key (transport=openssh).",
  }),
  pkcs11Provider: library({
    group: 'Connection',
    names: ['PKCS11Provider', 'SmartcardDevice'],
    placeholder: 'LIBRARY',
    fallback: null,
    help: 'Library of a token that holds keys (transport=openssh).',
  }),
  securityKeyProvider: library({
    group: 'Connection',
    names: ['SecurityKeyProvider'],
    placeholder: 'LIBRARY',
    fallback: null,
    help: 'Library for FIDO keys (transport=openssh).',
  }),
  controlMaster: choice({
    group: 'Connection',
    names: ['ControlMaster'],
    choices: ['no', 'yes', 'ask', 'auto', 'autoask'],
    synonyms: { false: 'no', true: 'yes' },
    fallback: 'no',
    help: 'Share a connection of ssh (transport=openssh).',
  }),
  controlPath: path({
    group: 'Connection',
    names: ['ControlPath'],
    placeholder: 'SOCKET',
    fallback: null,
    help: 'Socket of the connection to share (transport=openssh).',
  }),
  checkHostIp: flag({
    group: 'Connection',
    names: ['CheckHostIP'],
    fallback: false,
    help: "Check the host key for the server's address as well.",
  }),
  hashKnownHosts: flag({
    group: 'Connection',
    names: ['HashKnownHosts'],
    fallback: false,
    help: 'Hash the names that are added to known_hosts.',
  }),
  knownHostsCommand: text({
    group: 'Connection',
    names: ['KnownHostsCommand'],
    placeholder: 'COMMAND',
    fallback: null,
    help: 'Command that prints known host keys (transport=openssh).',
  }),
  revokedHostKeys: path({
    group: 'Connection',
    names: ['RevokedHostKeys'],
    placeholder: 'FILE',
    fallback: null,
    help: 'Host keys that are never trusted (transport=openssh).',
  }),
  ciphers: algorithms('Ciphers', 'Ciphers'),
  kexAlgorithms: algorithms('KexAlgorithms', 'Methods of key exchange'),
  macs: algorithms('MACs', 'Message authentication codes'),
  hostKeyAlgorithms: algorithms('HostKeyAlgorithms', 'Types of host key'),
  pubkeyAcceptedAlgorithms: algorithms(
    'PubkeyAcceptedAlgorithms',
    'Signature algorithms of keys',
    'PubkeyAcceptedKeyTypes',
  ),
} as const satisfies Options;
