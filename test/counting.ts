/** Turns the counting of work on (runtime/work.ts) in this process. To be imported before the runtime. */

process.env.STILLPOINT_COUNT_WORK = "1";
