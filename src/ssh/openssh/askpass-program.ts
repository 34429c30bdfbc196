/**
 * What ssh runs when it has a question (SSH_ASKPASS): it hands the question to the mount over the socket beside the
 * file it was started as, and prints the answer. It ends with 1 where there is none.
 */
import { connect } from 'node:net';
import { dirname, join } from 'node:path';

const [, program = '', text = ''] = process.argv;
const socket = connect(join(dirname(program), 'socket'));
const hint = process.env.SSH_ASKPASS_PROMPT ?? '';
let answer = '';

socket.setEncoding('utf8');
socket.write(`${JSON.stringify({ text, hint })}\n`);
socket.on('data', (chunk: string) => {
  answer += chunk;
});
socket.on('error', () => {
  process.exitCode = 1;
});
socket.on('end', () => {
  if (answer.endsWith('\n')) process.stdout.write(answer);
  else process.exitCode = 1;
});
