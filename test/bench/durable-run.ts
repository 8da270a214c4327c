/**
 * A million accounts that pay each other (test/guests/accounts.ts), for the bench of durable blocks; and the
 * processes that it kills and starts again:
 *
 *   node durable-run.ts STORE fill|restart
 *
 * "fill" makes blocks for three seconds and waits to be killed; "restart" makes one block and closes.
 */

import { writeSync } from "node:fs";
import { programHash, Runtime, type RuntimeOptions } from "../../runtime/index.ts";
import { guest } from "../fixture.ts";
import { random } from "../kernel/trees.ts";

const ACCOUNTS = 1_000_000;
const OPTIONS = {
  workers: 2,
  retainBlocks: 10,
  gasLimit: 12_000_000_000,
  memoryQuotaPages: 100_000,
  heapBytes: 16 * 2 ** 30,
} as const;

/** What a process says, a line each. */
export interface Told {
  /** Of a block. */
  readonly ms?: number;
  /** It waits to be killed. */
  readonly kill?: boolean;
  /** The first block after the start is acknowledged; so many were run again before. */
  readonly again?: number;
}

/** Metadata with so many random payments. */
export function payments(count: number, next: (limit: number) => number): Uint8Array {
  const words = Uint32Array.from({ length: 2 * count }, () => next(ACCOUNTS));
  return new Uint8Array(words.buffer);
}

/** A runtime whose accounts have something. */
export async function filled(options: Partial<RuntimeOptions>): Promise<Runtime> {
  const [root, accounts] = await Promise.all([guest("accounts_root"), guest("accounts")]);
  const runtime = await Runtime.open({ root, programs: [accounts], ...OPTIONS, ...options });
  await runtime.produce(programHash(accounts));
  return runtime;
}

const [store, what] = import.meta.main ? process.argv.slice(2) : [];
const say = (line: Told): void => void writeSync(1, `${JSON.stringify(line)}\n`);
if (store !== undefined && what === "fill") {
  const runtime = await filled({ store: { path: store, durability: "logged" } });
  const next = random(7);
  const until = performance.now() + 3000;
  while (performance.now() < until) {
    const began = performance.now();
    await runtime.produce(payments(10_000, next));
    say({ ms: performance.now() - began });
  }
  say({ kill: true });
  await new Promise((resolve) => setTimeout(resolve, 10_000));
} else if (store !== undefined) {
  const { workers, retainBlocks, heapBytes } = OPTIONS;
  let again = 0;
  const runtime = await Runtime.open({
    workers,
    retainBlocks,
    heapBytes,
    store: { path: store, durability: "logged" },
  });
  again = runtime.metrics().blocks;
  await runtime.produce(payments(10_000, random(8)));
  say({ again });
  await runtime.close();
}
