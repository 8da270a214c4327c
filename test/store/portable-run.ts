/**
 * Exports and imports that another build may have made: test/store/portable.test.ts runs this with planted
 * faults, which change what is hashed, or by what.
 *
 *   node portable-run.ts STORE OURS THEIRS
 *
 * Makes blocks and writes the head as a portable export to THEIRS; imports the one in OURS, and continues
 * from it. Prints both states, as a line of JSON.
 */

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import type { Runtime } from "../../runtime/index.ts";
import { exportBlock, openImport, verifyStore } from "../../runtime/store.ts";
import { quota, REGION, SCRATCH, Script } from "../driver.ts";
import { DRIVER_HASH, open } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { everyState } from "./directory.ts";

const BLOCKS = 12;
export const MORE_BLOCKS = 3;
const OPTIONS = { workers: 1, runner: "sequential" } as const;
const CHILDREN = 4;
const FILLED_AT = SCRATCH + 0x80000;

/** What the state is, whatever its hash. */
export interface State {
  readonly id: string;
  readonly root: string;
  readonly height: number;
  /** Of the memory that blocks fill, and of what is said of each process beside hashes. */
  readonly contents: string;
  readonly damages: number;
}

/** A block of which no hash gets into the state; some children are left running. */
export function plainBlock(height: number): Uint8Array {
  const next = random(height);
  const script = new Script();
  for (let i = 1 + next(3); i > 0; i--) {
    script.fill(FILLED_AT + next(64) * 4096, 1 + next(9000), (height + i) & 255);
  }
  const inner = new Script();
  inner.store(SCRATCH + 0x90000 + next(16) * 4096, BigInt(height));
  inner.spin(next(2000));
  const child = next(CHILDREN);
  script.put(child, {
    program: DRIVER_HASH,
    memoryQuotaPages: quota(80),
    ranges: [{ source: inner.metadata(), target: REGION }],
    start: { entry: "run", argument: BigInt(REGION), gas: 20_000_000 },
  });
  if (next(3) === 0) script.get(child, { status: true });
  return script.metadata();
}

/** A store with blocks on which nothing was changed since. */
export async function made(store: string): Promise<Runtime> {
  const runtime = await open([], { ...OPTIONS, store: everyState(store) });
  await more(runtime, BLOCKS);
  return runtime;
}

/** Produces `count` blocks more. */
export async function more(runtime: Runtime, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await runtime.produce(plainBlock(runtime.head.height + 1));
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

/** Imports the chunks of a portable export, and continues with a few blocks. */
export async function imported(store: string, id: string, chunks: readonly Uint8Array[]): Promise<Runtime> {
  const importer = await openImport(store, id, { rehash: true });
  try {
    for (const chunk of chunks) importer.take(chunk);
    await importer.finish();
  } finally {
    await importer.close();
  }
  return open([], { ...OPTIONS, store: everyState(store) });
}

/** An export as a text. */
export function toText(id: string, chunks: readonly Uint8Array[]): string {
  return JSON.stringify({ id, chunks: chunks.map((chunk) => Buffer.from(chunk).toString("base64")) });
}

export function fromText(text: string): { readonly id: string; readonly chunks: Buffer[] } {
  const { id, chunks } = JSON.parse(text) as { id: string; chunks: string[] };
  return { id, chunks: chunks.map((chunk) => Buffer.from(chunk, "base64")) };
}

export async function stateOf(runtime: Runtime, store: string): Promise<State> {
  const sum = createHash("sha256");
  for (const path of [[], ...runtime.children([]).map((child) => [child])]) {
    const view = runtime.inspect(path);
    if (view === null) throw new Error("no such process");
    const { program: _, hash: __, reference, ...rest } = view;
    sum.update(
      JSON.stringify([reference === null, rest], (_, value) =>
        typeof value === "bigint" ? `${value}` : value,
      ),
    );
    // Not where the metadata was: it names a program by its hash.
    sum.update(runtime.read(path, FILLED_AT, view.memoryBytes - FILLED_AT));
  }
  const { id, root, height } = runtime.head;
  const { damages } = await verifyStore(store);
  return { id, root, height, contents: sum.digest("hex"), damages: damages.length };
}

if (import.meta.main) {
  const [store, ours, theirs] = process.argv.slice(2) as [string, string, string];
  const own = await made(store);
  writeFileSync(theirs, toText(own.head.id, await collect(exportBlock(store, { portable: true }))));
  const { id, chunks } = fromText(readFileSync(ours, "utf8"));
  const other = await imported(`${store}-other`, id, chunks);
  await more(other, MORE_BLOCKS);
  const states = [await stateOf(own, store), await stateOf(other, `${store}-other`)];
  process.stdout.write(`${JSON.stringify(states)}\n`);
  await Promise.all([own.close(), other.close()]);
}
