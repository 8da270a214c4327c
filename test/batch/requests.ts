/** The parts BATCH and OUTCOMES for scripts of the driver (test/driver.ts). */

import * as abi from "../../syscalls/abi.ts";
import type { Handle, PutSpec, Results, Script } from "../driver.ts";
import type { Item, ItemResult } from "./loop.ts";

export interface BatchSpec {
  readonly entry?: string;
  readonly items: readonly Item[];
  /** What all items may use together. */
  readonly gas?: number;
  readonly inbox: number;
  readonly inboxCapacity?: number;
  readonly outbox?: number;
  readonly outboxCapacity?: number;
  readonly keep?: boolean;
}

const HALF = abi.MAIL_BYTES / 2;

/** Words that make a PUT a BATCH; `more` are words of the BATCH struct to overwrite. */
export function batchWords(
  script: Script,
  spec: BatchSpec,
  more: Readonly<Record<number, number>> = {},
): Record<number, number> {
  const list = new DataView(new ArrayBuffer(spec.items.length * abi.INPUT_SIZE));
  spec.items.forEach(({ input, gas }, i) => {
    const at = i * abi.INPUT_SIZE;
    list.setUint32(at + abi.INPUT_POINTER, script.place(input), true);
    list.setUint32(at + abi.INPUT_LENGTH, input.length, true);
    list.setBigUint64(at + abi.INPUT_GAS, BigInt(gas), true);
  });
  const struct = new DataView(new ArrayBuffer(abi.BATCH_SIZE));
  const set = (offset: number, value: number): void => struct.setUint32(offset, value, true);
  set(abi.BATCH_INPUTS_POINTER, script.place(new Uint8Array(list.buffer)));
  set(abi.BATCH_INPUTS_COUNT, spec.items.length);
  set(abi.BATCH_INBOX, spec.inbox);
  set(abi.BATCH_INBOX_CAPACITY, spec.inboxCapacity ?? HALF);
  set(abi.BATCH_OUTBOX, spec.outbox ?? spec.inbox + HALF);
  set(abi.BATCH_OUTBOX_CAPACITY, spec.outboxCapacity ?? HALF);
  for (const [offset, value] of Object.entries(more)) set(Number(offset), value);
  const entry = new TextEncoder().encode(spec.entry ?? "run");
  const gas = spec.gas ?? 100_000_000;
  return {
    [abi.PUT_ENTRY_POINTER]: script.place(entry),
    [abi.PUT_ENTRY_LENGTH]: entry.length,
    [abi.PUT_FLAGS]: spec.keep === true ? abi.FLAG_KEEP : 0,
    [abi.PUT_GAS]: gas % 2 ** 32,
    [abi.PUT_GAS + 4]: Math.floor(gas / 2 ** 32),
    [abi.PUT_BATCH_POINTER]: script.place(new Uint8Array(struct.buffer)),
  };
}

const PART_OF: readonly [keyof PutSpec, number][] = [
  ["program", abi.PART_PROGRAM],
  ["install", abi.PART_PROGRAM],
  ["clone", abi.PART_CLONE],
  ["drop", abi.PART_DROP],
  ["ranges", abi.PART_RANGES],
  ["start", abi.PART_START],
];

/** A PUT with the part BATCH, besides those of `rest`. */
export function putBatch(
  script: Script,
  child: number,
  spec: BatchSpec,
  rest: PutSpec = {},
  more: Readonly<Record<number, number>> = {},
): Handle {
  let parts = abi.PART_BATCH;
  for (const [name, part] of PART_OF) if (rest[name] !== undefined) parts |= part;
  const words = { ...batchWords(script, spec, more), [abi.PUT_PARTS]: parts, ...rest.words };
  return script.put(child, { ...rest, words });
}

/** Where the driver had a child's outcomes written, and what they were. */
export interface OutcomesHandle {
  readonly get: Handle;
  readonly struct: Handle;
  readonly records: Handle;
  readonly outputs: Handle;
}

/** A GET with the part OUTCOMES. */
export function getOutcomes(
  script: Script,
  child: number,
  wanted: { first?: number; count: number; capacity?: number; words?: Readonly<Record<number, number>> },
): OutcomesHandle {
  const { first = 0, count, capacity = 4096 } = wanted;
  const records = script.reserve(count * abi.OUTCOME_SIZE);
  const outputs = script.reserve(capacity);
  const struct = new DataView(new ArrayBuffer(abi.OUTCOMES_SIZE));
  const set = (offset: number, value: number): void => struct.setUint32(offset, value, true);
  set(abi.OUTCOMES_FIRST, first);
  set(abi.OUTCOMES_COUNT, count);
  set(abi.OUTCOMES_POINTER, records);
  set(abi.OUTCOMES_OUTPUT_POINTER, outputs);
  set(abi.OUTCOMES_OUTPUT_CAPACITY, capacity);
  for (const [offset, value] of Object.entries(wanted.words ?? {})) set(Number(offset), value);
  const pointer = script.place(new Uint8Array(struct.buffer));
  const get = script.get(child, {
    words: { [abi.GET_PARTS]: abi.PART_GET_OUTCOMES, [abi.GET_OUTCOMES_POINTER]: pointer },
  });
  return {
    get,
    struct: script.out(pointer, abi.OUTCOMES_SIZE),
    records: script.out(records, count * abi.OUTCOME_SIZE),
    outputs: script.out(outputs, capacity),
  };
}

/** What `getOutcomes` brought. */
export function readOutcomes(
  results: Results,
  handle: OutcomesHandle,
): { total: number; outputBytes: number; items: ItemResult[] } {
  const view = (of: Handle): DataView => {
    const bytes = results.bytes(of);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
  const struct = view(handle.struct);
  const records = view(handle.records);
  const outputs = results.bytes(handle.outputs);
  const items = Array.from({ length: struct.getUint32(abi.OUTCOMES_COUNT, true) }, (_, i) => {
    const word = (offset: number): number => records.getUint32(i * abi.OUTCOME_SIZE + offset, true);
    const from = word(abi.OUTCOME_OUTPUT_OFFSET);
    return {
      status: word(abi.OUTCOME_STATUS),
      fault: word(abi.OUTCOME_FAULT),
      code: records.getBigInt64(i * abi.OUTCOME_SIZE + abi.OUTCOME_CODE, true),
      gasUsed: Number(records.getBigUint64(i * abi.OUTCOME_SIZE + abi.OUTCOME_GAS_USED, true)),
      output: Buffer.from(outputs.subarray(from, from + word(abi.OUTCOME_OUTPUT_LENGTH))).toString("hex"),
    };
  });
  return {
    total: struct.getUint32(abi.OUTCOMES_TOTAL, true),
    outputBytes: struct.getUint32(abi.OUTCOMES_OUTPUT_LENGTH, true),
    items,
  };
}
