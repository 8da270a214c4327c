/**
 * A root over random trees (tree.ts): starts some side by side, joins them in this block or in the next one.
 *
 * Metadata, 104 bytes:
 *    0  u64 seed
 *    8  [80] parameters of each tree; the program's hash stands first
 *   88  u32 trees to start, 0 to 64
 *   92  u32 flags: 1 leaves the trees running and joins them at the beginning of the next block
 *   96  u64 zero
 * Data: for each tree joined in this block, in order, 64 bytes:
 *    0  u32 kind · 4 u32 fault · 8 i64 code · 16 u64 gas used · 24 u32 children · 28 i32 error of the START ·
 *      32 [32] hash
 * A tree whose START failed has only the error.
 */

import { Child, Status, check, memoryQuota, PageBuffer, snapshot } from "../../guest/index.ts";

const METADATA: u32 = 104;
const RECORD: u32 = 64;
const TREES: u32 = 64;
const LEAVE_RUNNING: u32 = 1;
/** Where tree.ts keeps its parameters; asked from the first tree made. */
let parametersAddress: usize = 0;

const region = new PageBuffer();
const outbox = new PageBuffer();
const errors: usize = memory.data(256, 8);
let running: u32 = 0;
let dataLength: u32 = 0;

export function main(argument: i64): i64 {
  region.reserve(METADATA);
  outbox.reserve(2 * TREES * RECORD);
  while (true) {
    const length = check(snapshot(outbox.address, dataLength, region.address, region.capacity), "snapshot");
    dataLength = 0;
    if (length != METADATA) throw new Error("root_tree: metadata is not 104 bytes long");
    joinAll();
    startAll();
    if (!(load<u32>(region.address, 92) & LEAVE_RUNNING)) joinAll();
  }
}

function startAll(): void {
  const metadata = region.address;
  const parameters = metadata + 8;
  const trees = load<u32>(metadata, 88);
  if (trees > TREES) throw new Error("root_tree: too many trees");
  for (let i: u32 = 0; i < trees; i++) {
    const child = Child.at(i);
    let code = child
      .create(parameters, load<u32>(parameters, 64) + memoryQuota(16), load<u32>(parameters, 68))
      .put();
    if (code >= 0) {
      if (!parametersAddress) parametersAddress = <usize>child.call("parameters", 0, 1_000_000);
      child.copyIn(parameters, parametersAddress, 80);
      code = child
        .start("top", load<u64>(metadata) + i * 0x9e3779b97f4a7c15, load<u64>(parameters, 32))
        .put();
    }
    store<i32>(errors + i * 4, code);
  }
  running = trees;
}

function joinAll(): void {
  for (let i: u32 = 0; i < running; i++) {
    const record = outbox.address + dataLength;
    memory.fill(record, 0, RECORD);
    const error = load<i32>(errors + i * 4);
    store<i32>(record, error, 28);
    if (error >= 0) {
      const child = Child.at(i);
      check(
        child
          .status()
          .hash(record + 32)
          .get(),
        "join a tree",
      );
      const status = Status.last;
      store<u32>(record, status.kind);
      store<u32>(record, status.fault, 4);
      store<i64>(record, status.code, 8);
      store<u64>(record, status.gasUsed, 16);
      store<u32>(record, status.children, 24);
    }
    dataLength += RECORD;
  }
  running = 0;
}
