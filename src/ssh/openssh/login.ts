/**
 * Being let in by the ssh program: one process is one connection with one channel. That the login succeeded shows when
 * the SFTP server answers; an SFTP server speaks only when spoken to, so its greeting is asked for here, ahead of
 * whoever reads the channel.
 */
import { spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { logger } from '../../base/log.js';
import { printable } from '../../base/printable.js';
import type { Connection } from '../connection.js';
import { Deadline, pausing } from '../deadline.js';
import { ConnectError, describeServer } from '../errors.js';
import { mute } from '../mute.js';
import { ProcessGroup } from '../process-group.js';
import type { ConnectSettings, Prompter, Surroundings } from '../settings.js';
import { SingleConnection } from '../single-connection.js';
import { type Command, sshCommandLine } from './command.js';
import { Answers, Conversation } from './conversation.js';
import { Desk, type Question } from './desk.js';
import { refuseForeignKeys } from './keys.js';
import { ProcessStream } from './process-stream.js';
import { explainEnding, type LoginFacts } from './reasons.js';
import { RELAY_QUESTION, relayCommand, relayJob } from './relay.js';

const log = logger('ssh');

/** SSH_FXP_INIT of version 3 (draft-ietf-secsh-filexfer-02, section 4). */
const INIT = Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]);

const NOTHING = Buffer.alloc(0);

/** Nobody is asked, not even by the ssh of a hop, which knows of no BatchMode. */
const UNASKED = { SSH_ASKPASS_REQUIRE: 'never' };

/** How much of standard error is kept, in characters. */
const COMPLAINTS = 4096;

interface Attempt {
  readonly prompter: Prompter;
  readonly surroundings: Surroundings;
  readonly answers: Answers;
  readonly signal: AbortSignal | null;
  /** What is written ahead, since what runs there speaks only when spoken to. */
  readonly hello: Buffer;
  /** The same answers let us in before. */
  readonly isRepeat: boolean;
}

/**
 * Connects and logs in with the ssh program.
 * @throws ConnectError, or what the prompter was rejected with
 */
export async function connectByProgram(
  settings: ConnectSettings,
  prompter: Prompter,
  surroundings: Surroundings,
): Promise<Connection> {
  await refuseForeignKeys(settings, surroundings);
  const answers = new Answers(settings.password, settings);
  return enter(settings, { prompter, surroundings, answers, signal: null, hello: INIT, isRepeat: false });
}

async function enter(settings: ConnectSettings, attempt: Attempt): Promise<Connection> {
  const { surroundings, answers } = attempt;
  const connection = await logIn(settings, attempt);
  const isRepeat = !answers.takesPerson;
  if (isRepeat) {
    connection.again = (signal) =>
      logIn(settings, { prompter: mute, surroundings, answers, signal, hello: INIT, isRepeat });
  }
  connection.command = (command, mayConnect) => {
    if (!isRepeat || !(mayConnect || sharesConnection(settings))) {
      const why = isRepeat ? 'would take a connection of its own' : 'would take a person to log in again';
      return Promise.reject(new ConnectError('subsystem', `a command on the server ${why}`));
    }
    const again = { prompter: mute, surroundings, answers, signal: null, hello: NOTHING, isRepeat };
    return runCommand({ ...settings, sftpServer: command }, again);
  };
  connection.reconnect = (signal, prompter) =>
    enter(settings, { prompter: prompter ?? mute, surroundings, answers, signal, hello: INIT, isRepeat });
  return connection;
}

async function logIn(settings: ConnectSettings, attempt: Attempt): Promise<SingleConnection> {
  const { surroundings, answers, signal, hello, isRepeat } = attempt;
  const server = describeServer(settings.originalHost, settings.port);
  const deadline = new Deadline(settings.connectTimeout * 1000);
  const prompter = pausing(attempt.prompter, deadline, settings.batchMode);
  const conversation = new Conversation(answers, prompter, { server, isRepeat });
  const errors = new Complaints(prompter);
  let stream: ProcessStream | null = null;

  const relay = relayJob(settings);
  const answer = async (question: Question) => {
    if (question.hint === RELAY_QUESTION.hint) return relay && JSON.stringify(relay);
    errors.tell();
    return conversation.answer(question).catch((error: unknown) => {
      stream?.destroy(error instanceof Error ? error : new Error(String(error)));
      return null;
    });
  };
  const asks = conversation.isPossible;
  const desk = asks || relay !== null ? await Desk.open(answer) : null;
  const proxyCommand = relay && desk && relayCommand(desk.socket);
  const facts = () => ({
    server,
    isRepeat,
    asks: prompter.interactive,
    hasAnswered: conversation.hasAnswered,
  });
  const abort = () => stream?.destroy(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
  try {
    signal?.throwIfAborted();
    const command = sshCommandLine(settings, asks, proxyCommand);
    const env = { ...surroundings.environment, ...(asks ? desk?.askpass : UNASKED) };
    // Our relay resets its connection when ssh is gone, and what is shared is not ours alone to end.
    stream = start({
      command,
      env,
      errors,
      facts,
      hello,
      killsAll: relay === null && !sharesConnection(settings),
    });
    signal?.addEventListener('abort', abort, { once: true });
    deadline.start(() => {
      const reason = `${server} did not let us in within ${settings.connectTimeout} s`;
      stream?.destroy(new ConnectError('timeout', reason));
    });
    await heard(stream);
    conversation.succeeded();
  } finally {
    deadline.finish();
    signal?.removeEventListener('abort', abort);
    desk?.close();
  }
  errors.tell();
  return new SingleConnection({
    stream,
    server,
    serverSoftware: 'an SSH server, through the ssh program',
    complaints: () => errors.end,
  });
}

interface Starting {
  readonly command: Command;
  readonly env: NodeJS.ProcessEnv;
  readonly errors: Complaints;
  readonly facts: () => LoginFacts;
  /** What ssh starts (a ProxyCommand, itself for each hop) is killed with it, since it cannot do that itself then. */
  readonly killsAll: boolean;
  readonly hello: Buffer;
}

function sharesConnection({ controlPath, controlMaster }: ConnectSettings): boolean {
  return controlPath !== null && controlMaster !== 'no';
}

/** A command is what ssh runs in the place of an SFTP server; it speaks first, or the login is taken for a failure. */
async function runCommand(settings: ConnectSettings, attempt: Attempt): Promise<Duplex> {
  const connection = await logIn(settings, attempt);
  return connection.openSftp();
}

function start({ command: { file, args }, env, errors, facts, killsAll, hello }: Starting): ProcessStream {
  log('%s %o', file, args);
  const child = spawn(file, args, { stdio: 'pipe', env, detached: true });
  log('pid %d', child.pid);
  const group = new ProcessGroup(child.pid);
  const kill = () => {
    if (killsAll) group.kill();
    else child.kill('SIGKILL');
  };
  let wasOpen = false;
  child.stderr.on('data', (data: Buffer) => errors.add(data.toString('utf8')));
  const stream = new ProcessStream(child, hello, kill, (code, signal) => {
    log('%s ends: %o', file, signal ?? code);
    return explainEnding({ code, signal, stderr: errors.end, wasOpen }, facts());
  });
  stream.once('heard', () => {
    wasOpen = true;
  });
  child.on('error', (error) => {
    stream.destroy(new ConnectError('unreachable', `cannot run '${printable(file)}': ${error.message}`));
  });
  return stream;
}

/** Resolves when anything arrives, rejects with why nothing will. */
function heard(stream: ProcessStream): Promise<void> {
  return new Promise((resolve, reject) => {
    // Later errors are for whoever reads the stream; before there is one, nothing may throw.
    stream.on('error', (error) => {
      log('%s', error.message);
      reject(error);
    });
    stream.once('close', () => reject(new ConnectError('lost', 'ssh ended without a word')));
    // What was written to standard error before comes first.
    stream.once('heard', () => setImmediate(resolve));
  });
}

/** The end of what ssh writes to standard error. Until the login is through, a person is told it as well. */
class Complaints {
  readonly #prompter: Prompter;
  #text = '';
  #untold = '';

  constructor(prompter: Prompter) {
    this.#prompter = prompter;
  }

  get end(): string {
    return this.#text.trim();
  }

  add(text: string): void {
    log('ssh: %s', printable(text, true).trimEnd());
    this.#text = (this.#text + text).slice(-COMPLAINTS);
    this.#untold = (this.#untold + text).slice(-COMPLAINTS);
  }

  tell(): void {
    const text = printable(this.#untold, true).trim();
    this.#untold = '';
    if (text !== '') this.#prompter.info(text);
  }
}
