/** What a service manager hears on its socket of sd_notify(3), and from which process: Node has no such sockets. */
import { endProcesses } from './processes.js';
import { start, until } from './run.js';
import type { Scope } from './scope.js';

const LISTENER = `
import json, socket, struct, sys
name = sys.argv[1]
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    listener.bind('\\0' + name[1:] if name[0] == '@' else name)
    print('{}', flush=True)
    while True:
        message, ancillary, _, _ = listener.recvmsg(4096, socket.CMSG_SPACE(12))
        pid, _, _ = struct.unpack('3i', ancillary[0][2][:12])
        for assignment in message.decode().split('\\n'):
            print(json.dumps({'pid': pid, 'assignment': assignment}), flush=True)
`;

export interface Heard {
  /** The process that said it. */
  readonly pid: number;
  readonly assignment: string;
}

export class NotifyListener {
  /** In the order of arrival. */
  readonly heard: Heard[] = [];

  /** @param name a path, or `@name` in the abstract namespace: the value of NOTIFY_SOCKET */
  static async listen(scope: Scope, name: string): Promise<NotifyListener> {
    const listener = new NotifyListener();
    const child = start('python3', ['-c', LISTENER, name], { env: scope.environment });
    const { pid = 0 } = child;
    scope.defer('listener', () => endProcesses([pid]));
    let isListening = false;
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (text + chunk.toString()).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        if (isListening) listener.heard.push(JSON.parse(line) as Heard);
        isListening = true;
      }
    });
    await until('a listener', async () => isListening);
    return listener;
  }

  /** The first assignment that matches, of those heard after the first `after`. */
  async hears(pattern: RegExp, after = 0): Promise<Heard> {
    const heard = async () => this.heard.slice(after).find(({ assignment }) => pattern.test(assignment));
    return until(`${pattern}`, heard).catch((error: unknown) => {
      throw new Error(`heard only ${JSON.stringify(this.heard)}`, { cause: error });
    });
  }
}
