/**
 * Kills the process between two steps of a transaction of the store, as a power cut would: the thread of the
 * store calls `step` there. Which call it is comes from the environment: STILLPOINT_KILL_STEP, a number.
 */

const at = Number(process.env.STILLPOINT_KILL_STEP ?? 0);
let calls = 0;

export function step(): void {
  if (++calls === at) process.kill(process.pid, "SIGKILL");
}
