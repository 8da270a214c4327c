/**
 * Fuzzer "trees": a random chain of blocks, computed by one worker, must come out the same with four workers
 * of which some are killed, with reverts to random blocks in between, and on a fork.
 *
 * Its canary disturbs the records of started children while they wait for a thread, as a defect in publishing
 * would; that must show.
 */

import { CHUNK_UNITS, HEADER_HASHED, type Heap, KIND_PROCESS, UNIT_WORDS } from "../../runtime/heap/heap.ts";
import { type FieldName, HASHED_FIELDS } from "../../runtime/image/record.ts";
import type { Runtime } from "../../runtime/index.ts";
import { STATUS_RUNNABLE } from "../../syscalls/abi.ts";
import { quota } from "../driver.ts";
import { withRuntime } from "../fixture.ts";
import { checkTree } from "../kernel/invariants.ts";
import { random, randomTree } from "../kernel/trees.ts";

const BLOCKS = 5;
const OPTIONS = { memoryQuotaPages: quota(60_000), processQuota: 4000, gasLimit: 4_000_000_000 };
/** Words of a record: the low half of a runnable process's gas, and its status. */
const GAS_WORD = wordOf("gas");
const STATUS_WORD = wordOf("status");

/** Threads that are killed in a round: fewer than those after which a block is given up. */
const KILLS = 90;

/** Makes trouble while blocks run, until it is told to stop. */
type Disturber = (runtime: Runtime, next: (limit: number) => number, running: () => boolean) => Promise<void>;

const kill: Disturber = async (runtime, next, running) => {
  for (let kills = 0; kills < KILLS && running(); kills++) {
    await new Promise((resolve) => setTimeout(resolve, next(60)));
    await runtime.engine.pool.kill(next(4));
  }
};

const disturb: Disturber = async (runtime, _next, running) => {
  while (running()) {
    await new Promise((resolve) => setImmediate(resolve));
    takeGas(runtime.engine.heap);
  }
};

/** One random chain; what differs, or null. */
export async function round(seed: number, disturber: Disturber = kill): Promise<string | null> {
  const next = random(seed);
  const depth = 2 + next(3);
  // Broader ones do not fit into the root's region.
  const shape = { depth, children: 2 + next(depth === 4 ? 2 : 3) };
  const chain = Array.from({ length: BLOCKS }, () => randomTree(next(1 << 30), shape).metadata());
  const expected = await withRuntime([], { ...OPTIONS, workers: 1 }, async (runtime) => {
    const ids: string[] = [];
    for (const metadata of chain) ids.push(await outcome(runtime, metadata));
    return ids;
  });
  return withRuntime([], { ...OPTIONS, workers: 4 }, async (runtime) => {
    let running = true;
    const trouble = disturber(runtime, random(seed + 1), () => running);
    try {
      return await replay(runtime, chain, expected, next);
    } finally {
      running = false;
      await trouble;
    }
  });
}

/** Random chains until the canary shows; their number, or null. */
export async function canary(seed: number, rounds: number): Promise<number | null> {
  for (let i = 0; i < rounds; i++) {
    const found = await round(seed + i, disturb).catch((error: Error) => error.message);
    if (found !== null) return i + 1;
  }
  return null;
}

async function replay(
  runtime: Runtime,
  chain: readonly Uint8Array[],
  expected: readonly string[],
  next: (limit: number) => number,
): Promise<string | null> {
  const visits = BLOCKS * 2;
  // Heights of blocks of the chain that faulted hold no block: the expected list says which height follows.
  let on = runtime;
  try {
    for (let visit = 0, at = 0; visit < visits || at < BLOCKS; visit++) {
      if (at === BLOCKS) at = 0;
      if (at > 0 && visit < visits && next(4) === 0) at = next(at);
      const height = expected.slice(0, at).filter((id) => !id.startsWith("fault")).length;
      if (on.head.height !== height) await on.revert(height);
      if (next(6) === 0) {
        const fork = await on.fork();
        if (on !== runtime) await on.close();
        on = fork;
      }
      const seen = await outcome(on, chain[at] as Uint8Array);
      if (seen !== expected[at]) return `block ${at}: ${seen} instead of ${expected[at]}`;
      checkTree(on);
      at++;
    }
    return null;
  } finally {
    if (on !== runtime) await on.close();
  }
}

async function outcome(runtime: Runtime, metadata: Uint8Array): Promise<string> {
  try {
    return (await runtime.produce(metadata)).id;
  } catch (error) {
    const { code, facts } = error as { code?: string; facts?: object };
    if (code !== "BLOCK_FAULT") throw error;
    return `fault ${JSON.stringify(facts)}`;
  }
}

function wordOf(field: FieldName): number {
  const found = HASHED_FIELDS.find(([name]) => name === field);
  if (found === undefined) throw new Error(`no field "${field}" in a record`);
  return found[2];
}

/** Takes one unit of gas from every runnable process that nobody has hashed yet. */
function takeGas(heap: Heap): void {
  const { words, top } = heap;
  for (let ref = CHUNK_UNITS; ref < top; ) {
    const at = ref * UNIT_WORDS;
    const units = (words[at] as number) >>> 8;
    const record = at + UNIT_WORDS;
    if (heap.kind(ref) === KIND_PROCESS && words[at + HEADER_HASHED] === 0) {
      const gas = words[record + GAS_WORD] as number;
      if (words[record + STATUS_WORD] === STATUS_RUNNABLE && gas > 1) words[record + GAS_WORD] = gas - 1;
    }
    ref += units === 0 ? CHUNK_UNITS - (ref % CHUNK_UNITS) : units;
  }
}
