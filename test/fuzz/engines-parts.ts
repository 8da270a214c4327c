/**
 * What the rounds of the fuzzer "engines" are made of: each part gives a digest of all roots, outcomes and
 * gas of what it ran, which depends on the seed alone.
 */

import { createHash } from "node:crypto";
import fc from "fast-check";
import { listBlocks, readBlock, readCodes } from "../../examples/evm/block.ts";
import { evmRuntime } from "../../examples/evm/demo.ts";
import { encodeBlock, type Programs } from "../../examples/evm/encode.ts";
import { Runtime, type RuntimeOptions, verify } from "../../runtime/index.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import { knowTraps } from "../../runtime/program/faults.ts";
import { verify as verifyAnywhere } from "../../runtime/proof/verify.ts";
import { FAULT_DIVISION_BY_ZERO, FAULT_UNREACHABLE } from "../../syscalls/abi.ts";
import { type BatchInput, openBatches, runBatch } from "../batch/batches.ts";
import { FAMILY_PAGES, family, familyBatch, scripts, wholeFamily } from "../batch/families.ts";
import { randomBatch, SCRIPT, WARM } from "../batch/scripts.ts";
import { quota, REGION, SCRATCH, Script } from "../driver.ts";
import { DRIVER_HASH, driver, open } from "../fixture.ts";
import { random, randomTree } from "../kernel/trees.ts";
import { build } from "../program/build.ts";
import { compare, compareSuspending } from "../program/differential.ts";
import { generate } from "../program/generate.ts";
import { Operations } from "../program/operations.ts";
import { pathsOf } from "../proof/trees.ts";

const TREES = 2;
const PROGRAMS = 3;
const RUNS = 3;
const BATCHES = 3;
const PROOFS = 12;
const RUN_GAS = 20_000_000;
/** Runs of each instruction. */
const TURNS = 8;
/** One genesis for all engines: JavaScriptCore has no memory above 4 GiB. */
export const OPTIONS = {
  memoryQuotaPages: 350_000,
  processQuota: 4000,
  gasLimit: 2e9,
  heapBytes: 2 ** 32 - 2 ** 20,
} as const;
/** Of blocks of the EVM, which need more gas and have less state: their first transactions. */
const EVM_TRANSACTIONS = 100;
const EVM_OPTIONS = { memoryQuotaPages: 110_000, gasLimit: 6_000_000_000, heapBytes: 2 ** 32 - 2 ** 20 };
/** Other heaps below and above the sizes at which the offsets of an engine take more bits. */
const HEAPS = [
  2 ** 29,
  2 ** 30 + 2 ** 20,
  2 ** 31 - 2 ** 20,
  2 ** 31 + 2 ** 20,
  3 * 2 ** 30,
  2 ** 32 - 2 ** 20,
];
const LARGE_HEAPS = [...HEAPS, 2 ** 32 + 2 ** 20, 2 ** 33 + 2 ** 20];
const SMALL = { memoryQuotaPages: quota(1000), processQuota: 100, gasLimit: 2e8 };

/** What a thread of too small a stack gives in place of a result: an error of the host. */
export const HOST_ERROR = "an error of the host";

/** A difference that one engine is made to show: a trap's code, the bits of NaNs. */
export type Planted = "trap" | "nan";

export interface Settings {
  readonly workers: number;
  readonly planted?: Planted;
  readonly debug?: RuntimeOptions["debug"];
}

/** The parts of a round, on one engine; runtimes are opened when they are needed. */
export class EngineRounds {
  readonly #settings: Settings;
  readonly #runtimes = new Map<string, Promise<Runtime>>();
  #operations: Operations | null = null;
  #evm: Promise<(at: number) => Promise<string>> | null = null;

  constructor(settings: Settings) {
    this.#settings = settings;
    if (settings.planted !== "trap") return;
    const texts = knowTraps().texts as Map<string, number>;
    for (const [text, fault] of texts) {
      if (fault === FAULT_DIVISION_BY_ZERO) texts.set(text, FAULT_UNREACHABLE);
    }
  }

  /** Parts by name, in the order in which a round runs them. */
  readonly parts: Readonly<Record<string, (seed: number) => Promise<string>>> = {
    operations: async (seed) => {
      this.#operations ??= new Operations(this.#settings.planted === "nan" ? { defect: "nan" } : {});
      return this.#operations.round(seed, TURNS);
    },
    code: async (seed) => code(seed),
    trees: async (seed) => {
      const runtime = await this.#chain();
      return all(TREES, (i) => outcome(runtime, randomTree(seed * TREES + i, { depth: 3, children: 3 })));
    },
    programs: async (seed) => {
      const runtime = await this.#chain();
      return all(PROGRAMS, (i) => outcome(runtime, programScript(seed * PROGRAMS + i)));
    },
    proofs: async (seed) => proofs(await this.#chain(), seed),
    deep: async (seed) => deep(await this.#chain(), seed),
    batches: async (seed) => {
      const runtime = await this.#batches("scripts", SCRIPT, 1024, WARM);
      return all(BATCHES, (i) => batchOutcome(runtime, randomBatch(seed * BATCHES + i)));
    },
    families: async (seed) => {
      const runtime = await this.#batches("families", family, FAMILY_PAGES, wholeFamily);
      const batch = (i: number) => fc.sample(scripts, { seed: seed * BATCHES + i, numRuns: 1 })[0] ?? [];
      return all(BATCHES, (i) => batchOutcome(runtime, familyBatch(batch(i))));
    },
    evm: async (seed) => {
      this.#evm ??= openEvm(this.#settings, (runtime) => this.#runtimes.set("evm", Promise.resolve(runtime)));
      return (await this.#evm)(seed);
    },
    heaps: async (seed) => heaps(this.#settings, seed),
  };

  async close(): Promise<void> {
    for (const runtime of this.#runtimes.values()) await (await runtime).close();
  }

  /** A runtime whose root is the driver, at block 0. */
  #chain(): Promise<Runtime> {
    return this.#at("chain", 0, () => open([], { ...OPTIONS, ...this.#options() }));
  }

  /** A runtime with a process that takes batches, after a first one. */
  #batches(name: string, program: Uint8Array, pages: number, first: BatchInput): Promise<Runtime> {
    return this.#at(name, 2, async () => {
      const { debug, ...rest } = this.#options();
      const options = { ...OPTIONS, ...rest, debug: { ...debug, force: true } };
      const runtime = await openBatches(program, options, pages);
      await runBatch(runtime, first);
      return runtime;
    });
  }

  #options(): { workers: number; debug?: NonNullable<RuntimeOptions["debug"]> } {
    const { workers, debug } = this.#settings;
    return { workers, ...(debug === undefined ? {} : { debug }) };
  }

  async #at(name: string, height: number, make: () => Promise<Runtime>): Promise<Runtime> {
    const known = this.#runtimes.get(name);
    const opened = known ?? make();
    this.#runtimes.set(name, opened);
    const runtime = await opened;
    await runtime.revert(height);
    return runtime;
  }
}

async function all(count: number, one: (i: number) => Promise<string>): Promise<string> {
  const digest = createHash("sha256");
  for (let i = 0; i < count; i++) digest.update(await one(i));
  return digest.digest("hex");
}

/** Generated programs against themselves, plain, and what they give: no threads, no heap. */
function code(seed: number): string {
  const seen = [compare(seed), compareSuspending(seed)];
  const difference = seen.find((one) => one.difference !== null)?.difference;
  if (difference !== undefined) throw new Error(`instrumented and plain code differ: ${difference}`);
  return createHash("sha256")
    .update(seen.map(({ summary }) => summary).join())
    .digest("hex");
}

/** The id of a block says root, data and what it was given; or the fault, and the gas until then. */
export async function outcome(runtime: Runtime, script: Script): Promise<string> {
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

async function batchOutcome(runtime: Runtime, batch: BatchInput): Promise<string> {
  const { put, get, block, outcomes } = await runBatch(runtime, batch);
  return JSON.stringify([put, get, block.id, block.gasUsed, outcomes], (_, value) =>
    typeof value === "bigint" ? `${value}` : value,
  );
}

/** Proofs of any bytes of any process, as they are made and as both verifiers read them. */
async function proofs(runtime: Runtime, seed: number): Promise<string> {
  await outcome(runtime, randomTree(seed, { depth: 3, children: 3 }));
  const block = runtime.head;
  const next = random(seed);
  const paths = pathsOf(runtime, block);
  return all(PROOFS, async () => {
    const known = paths[next(paths.length)] as readonly number[];
    const path = next(6) === 0 ? [...known, next(1000)] : known;
    const proof = runtime.prove(path, next(0x400000), next(6000), block);
    const statements = [verify(block.root, proof), verifyAnywhere(block.root, proof)].map((statement) =>
      JSON.stringify(statement, (_, value) => (typeof value === "bigint" ? `${value}` : value)),
    );
    if (statements[0] !== statements[1]) throw new Error("the verifiers disagree");
    return `${Buffer.from(proof).toString("hex")} ${statements[0]}`;
  });
}

/** Endless recursion under as many processes as the seed says, each of which waits for the one below. */
async function deep(runtime: Runtime, seed: number): Promise<string> {
  const next = random(seed);
  const levels = next(20);
  const script = below(levels, recursion([0, 1, 8, 100, 1000][next(5)] as number));
  try {
    return createHash("sha256")
      .update(await outcome(runtime, script))
      .digest("hex");
  } catch (error) {
    const { code, cause } = error as { code?: string; cause?: unknown };
    if (code !== "KERNEL_PANIC" && !(error instanceof RangeError) && !(cause instanceof RangeError))
      throw error;
    return HOST_ERROR;
  }
}

function below(levels: number, program: Uint8Array): Script {
  const script = new Script({ base: REGION, commands: 16 });
  const quotas = { memoryQuotaPages: quota(200 * (levels + 1)), processQuota: levels + 1 };
  const gas = 20_000_000 * (levels + 2);
  if (levels === 0) {
    script.put(1, { install: program, memoryQuotaPages: quota(4), processQuota: 1 });
    script.put(1, { start: { entry: "main", argument: 1n, gas } });
  } else {
    const inner = below(levels - 1, program).metadata();
    const start = { entry: "run", argument: BigInt(REGION), gas };
    script.put(1, { program: DRIVER_HASH, ...quotas, ranges: [{ source: inner, target: REGION }], start });
  }
  script.get(1, { status: true, hash: true });
  return script;
}

/** Calls itself without end, and keeps so many numbers over the call. */
function recursion(held: number): Uint8Array {
  const each = (body: (index: number) => void): void => {
    for (let index = 0; index < held; index++) body(index);
  };
  return build({
    functions: [
      {
        parameters: [op.I64],
        results: [op.I64],
        locals: new Array(held).fill(op.I64),
        export: "main",
        code: (code) => {
          each((index) => {
            code.i32(index * 8);
            code.access(op.I64_LOAD, 0, 0);
            code.set(1 + index);
          });
          code.get(0);
          code.index(op.CALL, 0);
          each((index) => {
            code.i32(index * 8);
            code.get(1 + index);
            code.access(op.I64_STORE, 0, 0);
          });
        },
      },
    ],
  });
}

/** The same block in a heap of another size, after all that the process has run before. */
async function heaps({ workers }: Settings, seed: number): Promise<string> {
  const sizes = process.versions.bun === undefined ? LARGE_HEAPS : HEAPS;
  // Without a size that of the engine is taken.
  const heapBytes = sizes[random(seed)(sizes.length + 1)];
  const size = heapBytes === undefined ? {} : { heapBytes };
  const runtime = await Runtime.open({ root: driver, programs: [driver], ...SMALL, workers, ...size });
  try {
    const script = new Script();
    script.store(SCRATCH, BigInt(seed));
    const before = await outcome(runtime, script);
    return createHash("sha256")
      .update(`${runtime.genesis} ${before}`)
      .update(await outcome(runtime, randomTree(seed, { depth: 2, children: 2 })))
      .digest("hex");
  } finally {
    await runtime.close();
  }
}

/** Runs the block of a number: one of those in examples/evm. */
async function openEvm(
  { workers }: Settings,
  opened: (runtime: Runtime) => void,
): Promise<(at: number) => Promise<string>> {
  const directory = new URL("../../examples/evm/blocks", import.meta.url).pathname;
  const blocks = listBlocks(directory).map(readBlock);
  const codes = readCodes(directory);
  const evm: { readonly runtime: Runtime; readonly programs: Programs } = await evmRuntime({
    ...EVM_OPTIONS,
    workers,
    debug: { force: true },
  });
  opened(evm.runtime);
  return async (at) => {
    await evm.runtime.revert(0);
    const whole = blocks[at % blocks.length] as (typeof blocks)[number];
    const block = { ...whole, transactions: whole.transactions.slice(0, EVM_TRANSACTIONS) };
    const { id, gasUsed } = await evm.runtime.produce(encodeBlock(block, codes, evm.programs));
    return createHash("sha256").update(`${id} ${gasUsed}`).digest("hex");
  };
}
