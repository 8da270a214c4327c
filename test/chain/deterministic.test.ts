/**
 * The same inputs on hosts that differ in memory, disk, threads and patience: what one of them refuses with
 * an error that is deterministic, all refuse with the same.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { StillpointError } from "../../runtime/errors.ts";
import { type Block, programHash, type Runtime, type RuntimeOptions } from "../../runtime/index.ts";
import { SCRATCH, Script } from "../driver.ts";
import { guest, open, shrinkHeap } from "../fixture.ts";
import { withDirectory } from "../store/directory.ts";

const dirty = await guest("dirty");
const GAS = 3_000_000_000;
const RULES = { gasLimit: GAS, memoryQuotaPages: 400 * 16 };

/** What a block is made from, what it stands on, and what it comes to on a host that has all it needs. */
interface Input {
  readonly metadata: Uint8Array;
  readonly gasLimit?: number;
  /** What is run before. */
  readonly before?: Uint8Array;
  readonly outcome: string;
}

function script(write: (script: Script) => void): Uint8Array {
  const made = new Script();
  write(made);
  return made.metadata();
}

const ending = script((one) => one.ret(0n));
const storing = script((one) => one.store(SCRATCH, 5n));
const INPUTS: Readonly<Record<string, Input>> = {
  "a small block": { metadata: storing, outcome: "block" },
  "a fault": { metadata: script((one) => one.trap()), outcome: "BLOCK_FAULT" },
  "too little gas": { metadata: storing, gasLimit: 10, outcome: "BLOCK_FAULT" },
  "more gas than the rules allow": { metadata: storing, gasLimit: GAS + 1, outcome: "GAS_LIMIT" },
  "too much metadata": { metadata: new Uint8Array(1 << 21), outcome: "METADATA_TOO_LONG" },
  "a root that has ended": { metadata: storing, before: ending, outcome: "ENDED" },
  "a block of many pages": {
    metadata: script((one) => {
      for (const contents of [1n, 2n]) {
        const start = { entry: "fill", argument: (contents << 32n) | 18n, gas: GAS / 3 };
        const made = contents === 1n ? { program: programHash(dirty), memoryQuotaPages: 310 * 16 } : {};
        one.put(0, { ...made, start });
        one.get(0, { status: true });
      }
    }),
    outcome: "block",
  },
};

/** A host, and the error that is its own. */
interface Host {
  readonly options: Partial<RuntimeOptions>;
  readonly own: string | null;
  readonly heapBytes?: number;
  readonly cancelled?: boolean;
}

const HOSTS = (path: string): Readonly<Record<string, Host>> => ({
  "one thread": { options: { workers: 1 }, own: null },
  "three threads": { options: { workers: 3, debug: { timelineRecords: 1000 } }, own: null },
  "little memory": { options: { workers: 1 }, heapBytes: 26 << 20, own: "HEAP_FULL" },
  "a small disk": {
    options: { workers: 2, store: { path, durability: "block", limitBytes: 4 << 20 } },
    own: "STORE_FULL",
  },
  "no patience": { options: { workers: 1 }, own: "CANCELLED", cancelled: true },
});

/** The id of the block, or the code and the facts of its error. */
async function outcome(runtime: Runtime, input: Input, signal?: AbortSignal) {
  await runtime.revert(0);
  if (input.before !== undefined) await runtime.produce(input.before);
  const { metadata, gasLimit = GAS } = input;
  return runtime.produce(metadata, { gasLimit, ...(signal === undefined ? {} : { signal }) }).then(
    ({ id }: Block) => ({ what: "block", id, deterministic: true }),
    (error: unknown) => {
      assert.ok(error instanceof StillpointError, String(error));
      const { code, message, facts, deterministic } = error;
      return { what: code, message, facts, deterministic };
    },
  );
}

test("hosts differ in errors that are not deterministic, and in nothing else", async () => {
  await withDirectory(async (path) => {
    const expected = new Map<string, object>();
    for (const [name, { options, own, heapBytes, cancelled = false }] of Object.entries(HOSTS(path))) {
      const runtime = await open([dirty], { ...RULES, runner: "sequential", ...options });
      if (heapBytes !== undefined) shrinkHeap(runtime, heapBytes);
      const seen = new Set<string>();
      try {
        for (const [what, input] of Object.entries(INPUTS)) {
          const signal = cancelled ? AbortSignal.abort() : undefined;
          const found = await outcome(runtime, input, signal);
          seen.add(found.what);
          if (own === null) assert.equal(found.what, input.outcome, what);
          if (!expected.has(what)) expected.set(what, found);
          if (found.deterministic) assert.deepEqual(found, expected.get(what), `${name}: ${what}`);
          else assert.equal(found.what, own, `${name}: ${what}`);
          // The runtime is as good as before.
          if (cancelled) assert.deepEqual(await outcome(runtime, input), expected.get(what));
        }
        if (own !== null) assert.ok(seen.has(own), `${name}: ${own} was not met`);
      } finally {
        await runtime.close();
      }
    }
  });
});
