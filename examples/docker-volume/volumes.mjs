/**
 * The volumes: what each is, which containers use it, and its mount. A volume is mounted for its first user and
 * unmounted after its last; users are known by the ids that Docker gives them, so a call that comes twice counts once.
 * What is remembered is written before it is answered, in one step, so that a plugin that is killed knows it again. The
 * mounts are processes of their own and go on without the plugin.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { mount, RemoraError, status, unmount } from 'remora-fs';

/** Docker's own rule for names; they become names of directories. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

export class Volumes {
  #file;
  #directory;
  #knownHosts;
  /** name → { source, password, o, users }, as it stands in the file. */
  #volumes;
  /** name → what is under way with it: one thing at a time. */
  #turns = new Map();

  static async open(state, directory) {
    for (const path of [state, directory]) await mkdir(path, { recursive: true, mode: 0o700 });
    return new Volumes(state, directory);
  }

  constructor(state, directory) {
    this.#file = join(state, 'remora-volumes.json');
    this.#knownHosts = join(state, 'known_hosts');
    this.#directory = directory;
    this.#volumes = new Map(Object.entries(readState(this.#file)));
  }

  /**
   * `sshcmd` is the source, `password` and `port` say what they say; every other option is one of `-o`, with a value
   * or without.
   */
  async create(name, { sshcmd, password = null, ...others }) {
    if (!NAME.test(name)) throw new Error(`'${name}' cannot be the name of a volume`);
    if (!sshcmd) throw new Error("the option 'sshcmd' is missing: -o sshcmd=user@host:directory");
    if (this.#volumes.get(name)?.users.length > 0) throw new Error(`the volume ${name} is in use`);
    const o = Object.entries(others).map(([key, value]) => {
      return value === '' ? key : `${key}=${value.replace(/[\\,]/g, '\\$&')}`;
    });
    this.#volumes.set(name, { source: sshcmd, password, o, users: [] });
    this.#save();
  }

  remove(name) {
    return this.#inTurn(name, async ({ users }) => {
      if (users.length > 0) throw new Error(`the volume ${name} is in use`);
      await this.#detach(name);
      await rmdir(this.mountpoint(name)).catch(ignore('ENOENT'));
      this.#volumes.delete(name);
      this.#save();
    });
  }

  /** Answers where it is mounted. */
  mount(name, id) {
    return this.#inTurn(name, async ({ source, password, o, users }) => {
      const mountpoint = this.mountpoint(name);
      if ((await stateOf(mountpoint)) === null) {
        await mkdir(mountpoint).catch(ignore('EEXIST'));
        await mount(source, mountpoint, {
          serve: 'detached',
          ...(password === null ? {} : { password }),
          // Programs in containers have any user; a server is trusted at first sight, and not when it has changed.
          o: ['allow_other,StrictHostKeyChecking=accept-new', `UserKnownHostsFile=${this.#knownHosts}`, ...o],
          log: (line) => console.error(`${name}: ${line}`),
        });
      }
      if (!users.includes(id)) users.push(id);
      this.#save();
      return mountpoint;
    });
  }

  unmount(name, id) {
    return this.#inTurn(name, async (volume) => {
      volume.users = volume.users.filter((user) => user !== id);
      this.#save();
      if (volume.users.length === 0) await this.#detach(name);
    });
  }

  mountpoint(name) {
    this.#volume(name);
    return join(this.#directory, name);
  }

  async get(name) {
    const { source, users } = this.#volume(name);
    const mountpoint = this.mountpoint(name);
    const state = (await stateOf(mountpoint)) ?? 'not mounted';
    return { Name: name, Mountpoint: mountpoint, Status: { source, state, users: users.length } };
  }

  list() {
    return [...this.#volumes.keys()].map((name) => ({ Name: name, Mountpoint: this.mountpoint(name) }));
  }

  /** For the end of a plugin whose mounts end with it: what was written is sent first. Never rejects. */
  async unmountAll() {
    const names = [...this.#volumes.keys()];
    const ended = names.map((name) => this.#inTurn(name, () => this.#detach(name)));
    for (const { reason } of await Promise.allSettled(ended)) if (reason) console.error(reason.message);
  }

  async #detach(name) {
    await unmount(this.mountpoint(name)).catch(ignore('not-mounted'));
  }

  #volume(name) {
    const volume = this.#volumes.get(name);
    if (volume === undefined) throw new Error(`there is no volume ${name}`);
    return volume;
  }

  /** Runs `work` with the volume when everything before it has been done. */
  async #inTurn(name, work) {
    const before = this.#turns.get(name);
    const turn = (async () => {
      await before?.catch(() => {});
      return work(this.#volume(name));
    })();
    this.#turns.set(name, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(name) === turn) this.#turns.delete(name);
    }
  }

  /** Passwords are in it, so it is for its owner alone. */
  #save() {
    const text = JSON.stringify(Object.fromEntries(this.#volumes), null, 2);
    writeFileSync(`${this.#file}.new`, text, { mode: 0o600, flush: true });
    renameSync(`${this.#file}.new`, this.#file);
  }
}

function readState(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw error;
  }
}

/** Null where nothing is mounted, or what was left of a mount is in the way, which `mount` takes away. */
async function stateOf(mountpoint) {
  try {
    const { state } = await status(mountpoint);
    return state === 'dead' ? null : state;
  } catch (error) {
    if (error instanceof RemoraError && error.code === 'not-mounted') return null;
    throw error;
  }
}

function ignore(code) {
  return (error) => {
    if (error.code !== code) throw error;
  };
}
