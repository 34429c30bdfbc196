// An SFTP server that answers late, and writes down each new maximum of WRITE requests under way at once.
// Usage: node counting-sftp.mjs SFTP_SERVER DELAY_IN_MILLISECONDS RESULT_FILE
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';

const SSH_FXP_WRITE = 6;
const [program, delay, result] = process.argv.slice(2);
const server = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] });
const waiting = new Set();
let most = 0;

/** Calls back with type and id of each packet that passes. */
function watch(each) {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 9 && rest.length >= 4 + rest.readUInt32BE(0)) {
      each(rest[4], rest.readUInt32BE(5));
      rest = rest.subarray(4 + rest.readUInt32BE(0));
    }
  };
}

const requests = watch((type, id) => {
  if (type !== SSH_FXP_WRITE) return;
  waiting.add(id);
  if (waiting.size <= most) return;
  most = waiting.size;
  appendFileSync(result, `${most}\n`);
});
const answers = watch((_type, id) => waiting.delete(id));

process.stdin.on('data', (chunk) => {
  requests(chunk);
  if (!server.stdin.write(chunk)) process.stdin.pause();
});
server.stdin.on('drain', () => process.stdin.resume());
process.stdin.on('end', () => server.stdin.end());
server.stdout.on('data', (chunk) => {
  setTimeout(() => {
    answers(chunk);
    process.stdout.write(chunk);
  }, Number(delay));
});
server.on('exit', (code) => setTimeout(() => process.exit(code ?? 1), Number(delay) + 50));
