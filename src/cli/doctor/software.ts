/** Server programs that are known, by how they name themselves (RFC 4253, section 4.2), and what is special about them. */

export interface Software {
  readonly name: string;
  /** Worth knowing, although it works; null for nothing. */
  readonly quirk: string | null;
  /** How the SFTP program is brought back where it is missing. */
  readonly sftpRemedy: string;
}

const SUBSYSTEM =
  "on the server: put 'Subsystem sftp internal-sftp' into sshd_config, then: systemctl reload ssh";

/** `software` is the identification without `SSH-2.0-`. */
export function recognise(software: string): Software {
  const [, major, minor] = /^OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)/.exec(software) ?? [];
  if (major !== undefined && minor !== undefined) {
    const version = Number(major) * 100 + Number(minor);
    return {
      name: `OpenSSH ${major}.${minor}`,
      quirk: openSshQuirk(version, software),
      sftpRemedy: SUBSYSTEM,
    };
  }
  const found = OTHERS.find(([pattern]) => pattern.test(software));
  if (found !== undefined) return { name: found[1], quirk: found[2], sftpRemedy: found[3] };
  return {
    name: software || 'no name',
    quirk: null,
    sftpRemedy: 'turn on SFTP in the settings of the server',
  };
}

function openSshQuirk(version: number, software: string): string | null {
  if (software.includes('for_Windows'))
    return 'on Windows: paths are like /C:/Users, and there are no Unix modes';
  if (version < 409) return 'before 4.9 no file can be replaced by renaming';
  if (version < 605) return 'before 6.5 fsync does not reach the disk';
  if (version < 805) return 'before 8.5 it does not tell its limits: transfers use packets of 32 KiB';
  if (version < 900) return 'before 9.0 it cannot copy files on its side';
  return null;
}

const SETTINGS = 'turn on SFTP in the settings of the server';
const OTHERS: readonly (readonly [RegExp, string, string | null, string])[] = [
  [
    /^dropbear/i,
    'Dropbear',
    'it has no SFTP of its own, and small windows',
    'on the server, install the program: apt install openssh-sftp-server (OpenWrt: opkg install openssh-sftp-server)',
  ],
  [/^(?:FlowSsh: )?Bitvise|WinSSHD/i, 'Bitvise SSH Server', 'on Windows: paths are like /C:/Users', SETTINGS],
  [/^PuTTY|^Uppity/i, 'PuTTY', 'its server is one for tests', SETTINGS],
  [/^libssh/i, 'libssh', 'it keeps at most 256 files open', SETTINGS],
  [/^mod_sftp|ProFTPD/i, 'ProFTPD mod_sftp', null, "on the server: put 'SFTPEngine on' into proftpd.conf"],
  [/^AWS_SFTP/i, 'AWS Transfer Family', 'no links and no changing of owners', SETTINGS],
  [/^AsyncSSH/i, 'AsyncSSH', null, SETTINGS],
  [/^Go\b/i, 'a server written in Go', null, SETTINGS],
  [
    /^Cisco|^ROSSSH|^Comware|HUAWEI/i,
    'the system of a network device',
    'it may have no SFTP at all',
    SETTINGS,
  ],
  [/^(?:APACHE-)?SSHD/i, 'Apache MINA SSHD', null, SETTINGS],
  [/^paramiko/i, 'Paramiko', null, SETTINGS],
  [/^ssh2js/i, 'a server of ssh2 (Node.js)', null, SETTINGS],
];
