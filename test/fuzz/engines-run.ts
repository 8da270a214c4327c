/**
 * One engine of the fuzzer "engines" (engines.ts): computes rounds and prints for each a line with its seed
 * and a digest of all roots, outcomes and gas. A process of its own, for flags of V8, other versions of Node,
 * and other engines.
 *
 *   node engines-run.ts --seed S (--rounds N | --seconds T) --workers N [--canary depth|threads]
 *
 * A round: a chain of random trees, and programs from the generator of test/program, which arrive in blocks,
 * are admitted on the worker, and run with several arguments.
 */

import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import type { Runtime } from "../../runtime/index.ts";
import { admitEntryProgram } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import { quota, Script } from "../driver.ts";
import { play, withRuntime } from "../fixture.ts";
import { randomTree } from "../kernel/trees.ts";
import { build } from "../program/build.ts";
import { generate } from "../program/generate.ts";
import { Machine } from "../program/harness.ts";
import { CANARIES, type Canary } from "./engines.ts";

const TREES = 2;
const PROGRAMS = 3;
const RUNS = 3;
/** One genesis for all engines: JavaScriptCore has no memory above 4 GiB. */
const OPTIONS = {
  memoryQuotaPages: 350_000,
  processQuota: 4000,
  gasLimit: 2e9,
  heapBytes: 2 ** 32 - 2 ** 20,
};
const RUN_GAS = 20_000_000;

async function round(runtime: Runtime, seed: number, canary: Canary | undefined): Promise<string> {
  const digest = createHash("sha256");
  await runtime.revert(0);
  for (let tree = 0; tree < TREES; tree++)
    digest.update(await outcome(runtime, randomTree(seed * TREES + tree, { depth: 3, children: 3 })));
  for (let program = 0; program < PROGRAMS; program++)
    digest.update(await outcome(runtime, programScript(seed * PROGRAMS + program)));
  if (canary !== undefined) {
    const { block } = await play(runtime, (script) => script.store(0x280000, planted(runtime, canary)));
    digest.update(block.id);
  }
  return digest.digest("hex");
}

/** The id of a block says root, data and what it was given; or the fault, and the gas until then. */
async function outcome(runtime: Runtime, script: Script): Promise<string> {
  try {
    const { id, gasUsed } = await runtime.produce(script.metadata());
    return `${id} ${gasUsed}`;
  } catch (error) {
    const { code, facts } = error as { code?: string; facts?: object };
    if (code !== "BLOCK_FAULT") throw error;
    return JSON.stringify(facts);
  }
}

/** Installs a generated program in a child and runs it. */
function programScript(seed: number): Script {
  const script = new Script();
  script.put(1, { install: generate(seed).program, memoryQuotaPages: quota(200), processQuota: 1 });
  for (let run = 0; run < RUNS; run++) {
    const argument = BigInt.asIntN(64, BigInt(seed + run) * 0x9e3779b97f4a7c15n);
    script.put(1, { start: { entry: "main", argument, gas: RUN_GAS } });
    script.get(1, { status: true, hash: true });
  }
  return script;
}

function planted(runtime: Runtime, canary: Canary): bigint {
  if (canary === "threads") {
    const lanes = runtime.timeline().traceEvents.filter(({ ph }) => ph === "M");
    return BigInt(lanes.length);
  }
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
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: "1" },
      rounds: { type: "string", default: "1" },
      seconds: { type: "string", default: "0" },
      workers: { type: "string", default: "1" },
      canary: { type: "string" },
    },
  });
  const first = Number(values.seed);
  const canary = CANARIES.find((name) => name === values.canary);
  const timeline = canary === "threads" ? 1 << 16 : 0;
  await withRuntime(
    [],
    { ...OPTIONS, debug: { timelineRecords: timeline }, workers: Number(values.workers) },
    async (runtime) => {
      const end = performance.now() + Number(values.seconds) * 1000;
      for (let seed = first; seed < first + Number(values.rounds) || performance.now() < end; seed++)
        console.log(`${seed} ${await round(runtime, seed, canary)}`);
    },
  );
}
