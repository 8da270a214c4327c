/** Turns the counting of work on (runtime/work.ts). To be imported before anything of the runtime. */

process.env.STILLPOINT_COUNT_WORK = "1";
