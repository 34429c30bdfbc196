/**
 * What ssh runs when it has a question (SSH_ASKPASS): it hands the question to the mount over the socket beside the
 * file it was started as, and prints the answer. It ends with 1 where there is none.
 */
import { dirname, join } from 'node:path';
import { askDesk } from './desk.js';

const [, program = '', text = ''] = process.argv;
const hint = process.env.SSH_ASKPASS_PROMPT ?? '';
const answer = await askDesk(join(dirname(program), 'socket'), { text, hint });
if (answer === null) process.exitCode = 1;
else process.stdout.write(`${answer}\n`);
