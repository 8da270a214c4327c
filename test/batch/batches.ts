/** Runtimes whose root gives batches to a child (test/guests/batch/root.ts), and what came of them. */

import { type Block, programHash, Runtime, type RuntimeOptions } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota } from "../driver.ts";
import { ENDLESS_GAS, fitted, guest } from "../fixture.ts";

const encoder = new TextEncoder();
/** That the child may make. */
const PROCESSES = 64;
/** The root of these runtimes. */
export const BATCH_ROOT = await guest("batch/root");

export interface Item {
  readonly input: Uint8Array;
  readonly gas: number | bigint;
}

export interface BatchInput {
  readonly entry: string;
  readonly items: readonly Item[];
  /** Default: enough for all. */
  readonly gas?: number;
  readonly inbox: number;
  readonly inboxCapacity?: number;
  readonly outbox?: number;
  readonly outboxCapacity?: number;
}

export interface ItemOutcome {
  readonly status: number;
  readonly fault: number;
  readonly code: bigint;
  readonly gasUsed: number;
  readonly output: Uint8Array;
}

export interface BatchOutcome {
  readonly put: number;
  readonly get: number;
  readonly block: Block;
  readonly outcomes: readonly ItemOutcome[];
}

/** A runtime whose child 1 is made of `program`, and may hold all gas that the root may. */
export async function openBatches(
  program: Uint8Array,
  options: Partial<RuntimeOptions> = {},
  memoryPages = 1024,
): Promise<Runtime> {
  const gasLimit = options.gasLimit ?? ENDLESS_GAS;
  const runtime = await Runtime.open(fitted({ root: BATCH_ROOT, programs: [program], ...options, gasLimit }));
  const { data } = await runtime.produce(childMetadata(program, memoryPages, gasLimit));
  const result = new DataView(data.buffer, data.byteOffset).getInt32(0, true);
  if (result !== 0) throw new Error(`the child was not made: ${result}`);
  return runtime;
}

/** The metadata of the block that makes child 1 of `program`. */
export function childMetadata(program: Uint8Array, memoryPages: number, gasLimit: number): Uint8Array {
  const metadata = new Uint8Array(56);
  const view = new DataView(metadata.buffer);
  view.setUint32(0, 1, true);
  metadata.set(programHash(program), 8);
  view.setUint32(40, quota(memoryPages), true);
  view.setUint32(44, PROCESSES, true);
  view.setBigUint64(48, BigInt(gasLimit), true);
  return metadata;
}

/** The metadata of a block that runs a batch. */
export function batchMetadata(batch: BatchInput): Uint8Array {
  const { items, inbox } = batch;
  const padded = (length: number) => Math.ceil(length / 8) * 8;
  const length = items.reduce((sum, { input }) => sum + 16 + padded(input.length), 72);
  const metadata = new Uint8Array(length);
  const view = new DataView(metadata.buffer);
  const entry = encoder.encode(batch.entry);
  view.setUint32(0, 2, true);
  view.setUint32(4, entry.length, true);
  view.setBigUint64(8, BigInt(batch.gas ?? items.reduce((sum, { gas }) => sum + Number(gas), 0)), true);
  view.setUint32(16, items.length, true);
  view.setUint32(20, inbox, true);
  view.setUint32(24, batch.inboxCapacity ?? 32768, true);
  view.setUint32(28, batch.outbox ?? inbox + 32768, true);
  view.setUint32(32, batch.outboxCapacity ?? 32768, true);
  metadata.set(entry, 40);
  let at = 72;
  for (const { input, gas } of items) {
    view.setBigUint64(at, BigInt(gas), true);
    view.setUint32(at + 8, input.length, true);
    metadata.set(input, at + 16);
    at += 16 + padded(input.length);
  }
  return metadata;
}

/** Runs a batch as a block. */
export async function runBatch(runtime: Runtime, batch: BatchInput): Promise<BatchOutcome> {
  const block = await runtime.produce(batchMetadata(batch));
  return readBatch(block, batch.items.length);
}

/** What the block of a batch of `count` items says. */
export function readBatch(block: Block, count: number): BatchOutcome {
  const view = new DataView(block.data.buffer, block.data.byteOffset, block.data.byteLength);
  const records = 8 + 32 + abi.STATUS_SIZE + abi.OUTCOMES_SIZE;
  const outputs = records + count * abi.OUTCOME_SIZE;
  const get = view.getInt32(4, true);
  const outcomes = Array.from({ length: get === abi.OK ? count : 0 }, (_, i) => {
    const at = records + i * abi.OUTCOME_SIZE;
    const from = outputs + view.getUint32(at + abi.OUTCOME_OUTPUT_OFFSET, true);
    return {
      status: view.getUint32(at + abi.OUTCOME_STATUS, true),
      fault: view.getUint32(at + abi.OUTCOME_FAULT, true),
      code: view.getBigInt64(at + abi.OUTCOME_CODE, true),
      gasUsed: Number(view.getBigUint64(at + abi.OUTCOME_GAS_USED, true)),
      output: block.data.slice(from, from + view.getUint32(at + abi.OUTCOME_OUTPUT_LENGTH, true)),
    };
  });
  return { put: view.getInt32(0, true), get, block, outcomes };
}
