/**
 * A root that gives batches to child 1. Metadata of a block, words of u32:
 *
 *   kind 1   create: 32 bytes program hash, u32 memory quota of the child, u32 processes that it may make,
 *            u64 gas that these may hold
 *   kind 2   batch: u32 entry length, u64 total gas, u32 items, u32 inbox, u32 inbox capacity, u32 outbox,
 *            u32 outbox capacity, 32 bytes of the entry's name, then for each item u64 gas limit, u32 length,
 *            u32 zero, and the input, padded to 8 bytes
 *
 * A block's data: i32 result of PUT, i32 result of GET, the child's root, its STATUS, then the OUTCOMES
 * struct, the records, the outputs.
 */

import * as abi from "../../../syscalls/abi";
import * as raw from "../../../guest/stillpoint";

const REGION_BYTES: usize = 24 << 20;
const HEADER: usize = 8 + 32 + abi.STATUS_SIZE;
const request: usize = memory.data(abi.PUT_SIZE, 8);
const batch: usize = memory.data(abi.BATCH_SIZE, 8);
const snapshot: usize = memory.data(abi.SNAPSHOT_SIZE, 8);
const region: usize = heap.alloc(REGION_BYTES) & ~7;
const inputs: usize = heap.alloc(REGION_BYTES) & ~7;
const data: usize = (heap.alloc(REGION_BYTES) & ~15) + 16;
let length: usize = 0;

function create(): void {
  memory.fill(request, 0, abi.PUT_SIZE);
  store<u32>(request, abi.ABI_VERSION, abi.PUT_VERSION);
  store<u32>(request, abi.PART_PROGRAM, abi.PUT_PARTS);
  store<u32>(request, <u32>(region + 8), abi.PUT_PROGRAM_POINTER);
  store<u32>(request, load<u32>(region, 40), abi.PUT_MEMORY_QUOTA);
  store<u32>(request, load<u32>(region, 44), abi.PUT_PROCESS_QUOTA);
  store<u64>(request, load<u64>(region, 48), abi.PUT_HELD_GAS);
  store<i32>(data, raw.put(1, <i32>request));
  length = 8;
}

function run(): void {
  const items = load<u32>(region, 16);
  memory.fill(request, 0, abi.PUT_SIZE);
  memory.fill(batch, 0, abi.BATCH_SIZE);
  store<u32>(request, abi.ABI_VERSION, abi.PUT_VERSION);
  store<u32>(request, abi.PART_BATCH, abi.PUT_PARTS);
  store<u32>(request, <u32>(region + 40), abi.PUT_ENTRY_POINTER);
  store<u32>(request, load<u32>(region, 4), abi.PUT_ENTRY_LENGTH);
  store<u64>(request, load<u64>(region, 8), abi.PUT_GAS);
  store<u32>(request, <u32>batch, abi.PUT_BATCH_POINTER);
  store<u32>(batch, <u32>inputs, abi.BATCH_INPUTS_POINTER);
  store<u32>(batch, items, abi.BATCH_INPUTS_COUNT);
  memory.copy(batch + abi.BATCH_INBOX, region + 20, 16);
  let from = region + 72;
  for (let i: usize = 0; i < <usize>items; i++) {
    const to = inputs + i * abi.INPUT_SIZE;
    const bytes = load<u32>(from, 8);
    store<u32>(to, <u32>(from + 16), abi.INPUT_POINTER);
    store<u32>(to, bytes, abi.INPUT_LENGTH);
    store<u64>(to, load<u64>(from), abi.INPUT_GAS);
    from += 16 + ((<usize>bytes + 7) & ~7);
  }
  store<i32>(data, raw.put(1, <i32>request));
  const outcomes = data + HEADER;
  const records = outcomes + abi.OUTCOMES_SIZE;
  const outputs = records + <usize>items * abi.OUTCOME_SIZE;
  memory.fill(request, 0, abi.PUT_SIZE);
  memory.fill(outcomes, 0, abi.OUTCOMES_SIZE);
  store<u32>(request, abi.ABI_VERSION, abi.GET_VERSION);
  store<u32>(request, abi.PART_GET_STATUS | abi.PART_GET_HASH | abi.PART_GET_OUTCOMES, abi.GET_PARTS);
  store<u32>(request, <u32>(data + 8), abi.GET_HASH_POINTER);
  store<u32>(request, <u32>(data + 40), abi.GET_STATUS_POINTER);
  store<u32>(request, <u32>outcomes, abi.GET_OUTCOMES_POINTER);
  store<u32>(outcomes, items, abi.OUTCOMES_COUNT);
  store<u32>(outcomes, <u32>records, abi.OUTCOMES_POINTER);
  store<u32>(outcomes, <u32>outputs, abi.OUTCOMES_OUTPUT_POINTER);
  store<u32>(outcomes, <u32>(data + REGION_BYTES - 64 - outputs), abi.OUTCOMES_OUTPUT_CAPACITY);
  store<i32>(data, raw.get(1, <i32>request), 4);
  length = outputs + load<u32>(outcomes, abi.OUTCOMES_OUTPUT_LENGTH) - data;
}

export function main(argument: i64): i64 {
  while (true) {
    memory.fill(snapshot, 0, abi.SNAPSHOT_SIZE);
    store<u32>(snapshot, abi.ABI_VERSION, abi.SNAPSHOT_VERSION);
    store<u32>(snapshot, <u32>data, abi.SNAPSHOT_DATA_POINTER);
    store<u32>(snapshot, <u32>length, abi.SNAPSHOT_DATA_LENGTH);
    store<u32>(snapshot, <u32>region, abi.SNAPSHOT_REGION_POINTER);
    store<u32>(snapshot, <u32>REGION_BYTES, abi.SNAPSHOT_REGION_CAPACITY);
    raw.snapshot(<i32>snapshot);
    if (load<u32>(region) === 1) create();
    else run();
  }
}
