/**
 * One engine of the fuzzer "engines" (engines.ts): computes rounds and prints for each part of one (see
 * engines-parts.ts) a line with the seed, the part and a digest of all roots, outcomes and gas. A process of
 * its own, for flags of V8, other versions of Node, and other engines.
 *
 *   node engines-run.ts --seed S (--rounds N | --seconds T) --workers N [--parts NAME,…]
 *                       [--canary depth|threads|trap|nan]
 *   node engines-run.ts --store DIR --seed S --rounds N
 *
 * The second opens a store that another engine may have written, prints what it finds there, and continues.
 */

import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import type { Runtime } from "../../runtime/index.ts";
import { admitEntryProgram } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import { SCRATCH } from "../driver.ts";
import { open, play, withRuntime } from "../fixture.ts";
import { randomTree } from "../kernel/trees.ts";
import { build } from "../program/build.ts";
import { Machine } from "../program/harness.ts";
import { pathsOf } from "../proof/trees.ts";
import { CANARIES, type Canary } from "./engines.ts";
import { EngineRounds, OPTIONS, outcome, type Planted } from "./engines-parts.ts";

const PLANTED: readonly string[] = ["trap", "nan"] satisfies Planted[];

/** What is there, a few blocks more, and a block that continues from the one before. */
async function store(path: string, seed: number, rounds: number): Promise<void> {
  await withRuntime([], { ...OPTIONS, store: { path } }, async (runtime) => {
    console.log(`found ${whole(runtime)}`);
    for (let round = 0; round < rounds; round++) {
      if (runtime.head.height > 1 && round === 1) await runtime.revert(runtime.head.height - 1);
      console.log(`made ${await outcome(runtime, randomTree(seed + round, { depth: 3, children: 3 }))}`);
    }
    await runtime.checkpoint();
    console.log(`left ${whole(runtime)}`);
  });
}

/** All blocks, all bytes of the head's processes, and a proof of each. */
function whole(runtime: Runtime): string {
  const digest = createHash("sha256");
  const blocks = runtime.blocks();
  for (const { id, root } of blocks) digest.update(`${id} ${root}`);
  for (const path of pathsOf(runtime, runtime.head)) {
    digest.update(runtime.read(path, 0, runtime.inspect(path)?.memoryBytes ?? 0));
    digest.update(runtime.prove(path, 0x100000, 5000));
  }
  return `${blocks.length} blocks ${digest.digest("hex")}`;
}

/** The root of a block that holds the number of threads, or the depth that the native stack has room for. */
async function planted(canary: Canary, seed: number, workers: number): Promise<string> {
  const debug = { timelineRecords: 1 << 16 };
  const runtime = await open([], { ...OPTIONS, workers, debug });
  try {
    await outcome(runtime, randomTree(seed, { depth: 3, children: 3 }));
    const threads = (): number => runtime.timeline().traceEvents.filter(({ ph }) => ph === "M").length;
    const value = canary === "threads" ? BigInt(threads()) : nativeDepth();
    const { block } = await play(runtime, (script) => script.store(SCRATCH + 0x80000, value));
    return block.id;
  } finally {
    await runtime.close();
  }
}

function nativeDepth(): bigint {
  const machine = new Machine(admitEntryProgram(RECURSION, { defect: "depth" }));
  try {
    machine.run("main", 0n);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the native stack is full
  }
  return Buffer.from(machine.bytes()).readBigUInt64LE(0);
}

/** Counts its calls in memory, until the stack is full. */
const RECURSION = build({
  memory: [1],
  functions: [
    {
      parameters: [op.I64],
      results: [op.I64],
      export: "main",
      code: (code) => {
        code.i32(0);
        code.get(0);
        code.access(op.I64_STORE, 0, 0);
        code.get(0);
        code.i64(1n);
        code.op(op.I64_ADD);
        code.index(op.CALL, 0);
      },
    },
  ],
});

if (import.meta.main) {
  // Deno delivers what a thread said before it was ended, when nobody waits for it any more.
  if (process.versions.deno !== undefined) {
    process.on("uncaughtException", (error) => {
      if (!error.message.startsWith("Unexpected message from Worker")) throw error;
    });
  }
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: "1" },
      rounds: { type: "string", default: "1" },
      seconds: { type: "string", default: "0" },
      workers: { type: "string", default: "1" },
      parts: { type: "string", default: "" },
      canary: { type: "string" },
      store: { type: "string" },
    },
  });
  const first = Number(values.seed);
  const rounds = Number(values.rounds);
  const workers = Number(values.workers);
  const canary = CANARIES.find((name) => name === values.canary);
  if (values.store !== undefined) await store(values.store, first, rounds);
  else if (canary === undefined) await run();
  else
    for (let seed = first; seed < first + rounds; seed++)
      console.log(`${seed} ${canary} ${await planted(canary, seed, workers)}`);

  async function run(): Promise<void> {
    const difference = PLANTED.find((name) => name === values.canary) as Planted | undefined;
    const engine = new EngineRounds({
      workers,
      ...(difference === undefined ? {} : { planted: difference }),
    });
    const wanted = values.parts === "" ? Object.keys(engine.parts) : values.parts.split(",");
    const end = performance.now() + Number(values.seconds) * 1000;
    for (let seed = first; seed < first + rounds || performance.now() < end; seed++) {
      for (const name of wanted) {
        const part = engine.parts[name];
        if (part === undefined) throw new Error(`there is no part "${name}"`);
        console.log(`${seed} ${name} ${await part(seed)}`);
      }
    }
    await engine.close();
  }
}
