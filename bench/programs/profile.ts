/**
 * Loaded into a Node process before its program (`--import`): profiles its processor time from the start, and
 * writes the profile to $REMORA_BENCH_PROFILE when the process gets SIGUSR2. Node's own --cpu-prof writes at
 * an exit that a serving process, which leaves by _exit(2), never reaches.
 */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';

const directory = process.env.REMORA_BENCH_PROFILE ?? '.';
const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.start');

process.once('SIGUSR2', () => {
  session.post('Profiler.stop', (error, result) => {
    if (error !== null) process.stderr.write(`profile: ${error.message}\n`);
    else writeFileSync(`${directory}/${process.pid}.cpuprofile`, JSON.stringify(result.profile));
  });
});
