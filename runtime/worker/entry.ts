/** How a job lies in its entry of the board: all but its state, and what comes of it. */

import { highOf, joined, lowOf } from "../u64.ts";
import {
  DEPTH,
  entryAt,
  GAS_HIGH,
  GAS_LOW,
  KIND,
  METADATA,
  ORIGIN,
  PARENT,
  PARENT_SEQUENCE,
  PATH,
  RULES,
  RUN,
  SEQUENCE,
  START,
  UPGRADE,
} from "./board-layout.ts";
import { type Job, NO_ENTRY } from "./job.ts";

/** Writes a job into the entry whose words begin at `at`. */
export function writeJob(words: Int32Array, at: number, job: Job): void {
  words[at + KIND] = job.kind;
  words[at + START] = job.start;
  words[at + DEPTH] = job.path.length;
  for (let i = 0; i < job.path.length; i++) words[at + PATH + i] = job.path[i] as number;
  words[at + PARENT] = job.parent;
  words[at + METADATA] = job.metadata;
  words[at + ORIGIN] = job.origin;
  words[at + RUN] = job.run;
  words[at + RULES] = job.rules;
  words[at + UPGRADE] = job.upgrade;
  words[at + GAS_LOW] = lowOf(job.gas);
  words[at + GAS_HIGH] = highOf(job.gas);
}

export function readJob(words: Int32Array, at: number): Job {
  const word = (i: number): number => words[at + i] as number;
  return {
    kind: word(KIND),
    start: word(START) >>> 0,
    path: Array.from({ length: word(DEPTH) }, (_, i) => word(PATH + i)),
    metadata: word(METADATA) >>> 0,
    gas: joined(word(GAS_LOW), word(GAS_HIGH)),
    parent: word(PARENT),
    origin: word(ORIGIN),
    run: word(RUN),
    rules: word(RULES) >>> 0,
    upgrade: word(UPGRADE) >>> 0,
  };
}

/** Whether the job of an entry was posted for that of another one, or for one that was. */
export function descends(words: Int32Array, entry: number, ancestor: number): boolean {
  let at = entryAt(entry);
  for (;;) {
    const parent = words[at + PARENT] as number;
    if (parent === NO_ENTRY) return false;
    const parentAt = entryAt(parent);
    if (words[parentAt + SEQUENCE] !== words[at + PARENT_SEQUENCE]) return false;
    if (parent === ancestor) return true;
    at = parentAt;
  }
}
