/**
 * Root of the parallel example: gives work to n children that run side by side, and puts their results
 * together. The result does not depend on n. Children (worker.ts) are made for a block and dropped with it.
 *
 * FORMAT, little-endian.
 * Metadata of a block, at most 16 MiB + 4096:
 *    0  u32 version = 1
 *    4  u32 job: 1 digest, 2 picture
 *    8  u32 children, 1 to 256
 *   12  u32 zero
 *   16  [32] SHA-256 of the worker program (examples/parallel/guest/worker.ts)
 *   48  u64 gas for each child, at most 2^53 - 1
 *   56  u64 zero
 *   job 1, digest of data in chunks:
 *   64  u32 chunkBytes, at least 1; at most 1,048,576 chunks
 *   68  u32 rounds, at least 1
 *   72  u32 dataBytes, 0 to 16 MiB
 *   76  u32 zero to 4096, then dataBytes bytes (the metadata's length is 4096 + dataBytes)
 *   job 2, picture of the Mandelbrot set:
 *   64  u32 width   68  u32 height (each at least 1, width × height at most 1,048,576)
 *   72  u32 iterations, 1 to 65,535
 *   76  u32 bytesPerPixel: 1 (grey) or 3 (red, green, blue)
 *   80  f64 left    88  f64 top    96  f64 step, all finite:
 *       pixel (x, y) is the point (left + x × step, top - y × step)
 *   104 end
 *
 * Data of a block:
 *    0  u32 version = 1 · 4 u32 job · 8 u32 children · 12 u32 resultBytes
 *   16  u64 gas used by the children for the work · 24 u64 zero
 *   32  the result
 *   digest, 32 bytes: chunk i is data[i × chunkBytes, (i + 1) × chunkBytes), the last one may be shorter;
 *     d = SHA-256(chunk), then rounds - 1 times d = SHA-256(d ‖ chunk); the result is SHA-256(d_0 ‖ d_1 ‖ …)
 *   picture, width × height × bytesPerPixel bytes, row by row. For the point (cr, ci), in f64, in this order:
 *     zr = zi = k = 0; while zr² + zi² ≤ 4 and k < iterations:
 *       zi = 2 × zr × zi + ci, zr = zr² - zi² + cr with the squares from before, k += 1
 *     k = iterations is inside: black. Else grey is 255 - k % 200,
 *     and a colour is (k × 7 % 256, k × 3 % 256, 255 - k × 5 % 256)
 * A message that breaks these rules, or a child that faults, aborts: the block fails, the runtime stays at
 * the one before.
 */

import {
  Block,
  Child,
  check,
  memoryQuota,
  PageBuffer,
  RANGES_LIMIT,
  Sha256,
  SHA256_BYTES,
  snapshot,
} from "../../../guest/index.ts";
import { DATA_OFFSET } from "./layout.ts";

const VERSION: u32 = 1;
const JOB_DIGEST: u32 = 1;
const JOB_PICTURE: u32 = 2;
const DATA_LIMIT: u32 = 16 << 20;
const CHUNKS_LIMIT: u32 = 1 << 20;
const PIXELS_LIMIT: u32 = 1 << 20;
const CHILDREN_LIMIT: u32 = 256;
const RESULT_OFFSET: u32 = 32;
const MESSAGE_BYTES: u32 = 48;

/**
 * 64 KiB pages a worker needs beside its message and its result: static data, and what alignment leaves
 * unused.
 */
const WORKER_PAGES: u32 = 4;
/** To find room for a message is cheap, however small the share for the work itself is. */
const GAS_TO_PREPARE: u64 = 1_000_000;

const region = new PageBuffer();
const outbox = new PageBuffer();
const chunkDigests = new PageBuffer();
const message: usize = memory.data(MESSAGE_BYTES, 8);
const hashState: usize = memory.data(SHA256_BYTES, 8);

/** The job's header. */
let children: u32 = 0;
let gasEach: u64 = 0;
let gasUsed: u64 = 0;

export function main(argument: i64): i64 {
  region.reserve(DATA_OFFSET + DATA_LIMIT);
  let dataLength: u32 = 0;
  while (true) {
    const length = check(snapshot(outbox.address, dataLength, region.address, region.capacity), "snapshot");
    dataLength = runJob(<u32>length);
  }
}

/** Does the job in the region; the length of the block's data in the outbox. */
function runJob(length: u32): u32 {
  const block = new Block(region.address, length);
  block.expect(VERSION, "version");
  const job = block.u32();
  children = block.u32();
  block.expect(0, "reserved word");
  const program = block.bytes(32);
  gasEach = block.u64();
  block.zeros(8, "reserved words");
  if (children < 1 || children > CHILDREN_LIMIT)
    throw new Error(`parallel: ${children} children, not 1 to ${CHILDREN_LIMIT}`);
  gasUsed = 0;

  let resultLength: u32 = 0;
  if (job == JOB_DIGEST) resultLength = runDigest(block, program);
  else if (job == JOB_PICTURE) resultLength = runPicture(block, program);
  else throw new Error(`parallel: unknown job ${job}`);

  const data = outbox.address;
  store<u32>(data, VERSION);
  store<u32>(data, job, 4);
  store<u32>(data, children, 8);
  store<u32>(data, resultLength, 12);
  store<u64>(data, gasUsed, 16);
  store<u64>(data, 0, 24);
  return RESULT_OFFSET + resultLength;
}

// ---- the digest -------------------------------------------------------------------------------------------

function runDigest(block: Block, program: usize): u32 {
  const chunkBytes = block.u32();
  const rounds = block.u32();
  const dataBytes = block.u32();
  block.zeros(DATA_OFFSET - block.offset, "padding of the header");
  if (chunkBytes < 1) throw new Error("parallel: chunkBytes is 0");
  if (rounds < 1) throw new Error("parallel: rounds is 0");
  if (dataBytes > DATA_LIMIT)
    throw new Error(`parallel: ${dataBytes} bytes of data, more than ${DATA_LIMIT}`);
  const data = block.bytes(dataBytes);
  block.end();
  const chunks = <u32>((<u64>dataBytes + chunkBytes - 1) / chunkBytes);
  if (chunks > CHUNKS_LIMIT) throw new Error(`parallel: ${chunks} chunks, more than ${CHUNKS_LIMIT}`);

  // Consecutive chunks to each child; the last ones may have none.
  const share = (chunks + children - 1) / children;
  const busy = share ? (chunks + share - 1) / share : 0;
  const shareBytes = busy > 1 ? share * chunkBytes : dataBytes;
  prepareAll(program, busy, DATA_OFFSET + shareBytes, share * 32);
  for (let i: u32 = 0; i < busy; i++) {
    const from = i * shareBytes;
    const length = min<u32>(shareBytes, dataBytes - from);
    store<u32>(message, min<u32>(chunkBytes, DATA_LIMIT));
    store<u32>(message, rounds, 4);
    store<u32>(message, length, 8);
    const child = Child.at(i);
    const inbox = <usize>child.join();
    child.copyIn(message, inbox, 12).copyIn(data + from, inbox + DATA_OFFSET, length);
    check(child.start("digest", 0, gasEach).put(), "start a worker");
  }

  const result = outbox.reserve(RESULT_OFFSET + 32) + RESULT_OFFSET;
  const digests = chunkDigests.reserve(share * 32);
  Sha256.begin(hashState);
  for (let i: u32 = 0; i < busy; i++) {
    const length = min<u32>(share, chunks - i * share) * 32;
    const child = Child.at(i);
    check(child.copyOut(finish(child), digests, length).get(), "get the digests");
    Sha256.update(hashState, digests, length);
    check(child.drop().put(), "drop a worker");
  }
  Sha256.end(hashState, result);
  return 32;
}

// ---- the picture ------------------------------------------------------------------------------------------

function runPicture(block: Block, program: usize): u32 {
  const parameters = block.bytes(40);
  block.end();
  const width = load<u32>(parameters);
  const height = load<u32>(parameters, 4);
  const iterations = load<u32>(parameters, 8);
  const bytesPerPixel = load<u32>(parameters, 12);
  if (width < 1 || height < 1 || <u64>width * height > PIXELS_LIMIT)
    throw new Error(`parallel: a picture of ${width} × ${height} pixels`);
  if (iterations < 1 || iterations > 65535)
    throw new Error(`parallel: ${iterations} iterations, not 1 to 65535`);
  if (bytesPerPixel != 1 && bytesPerPixel != 3)
    throw new Error(`parallel: ${bytesPerPixel} bytes per pixel, neither 1 nor 3`);
  for (let at: usize = 16; at < 40; at += 8) {
    if (!isFinite(load<f64>(parameters + at))) throw new Error("parallel: left, top or step is not finite");
  }

  // Rows first, first + busy, … to each child, so that dear and cheap rows are spread evenly.
  const busy = min<u32>(children, height);
  const rowBytes = width * bytesPerPixel;
  prepareAll(program, busy, MESSAGE_BYTES, ((height + busy - 1) / busy) * rowBytes);
  memory.copy(message, parameters, 40);
  for (let i: u32 = 0; i < busy; i++) {
    store<u32>(message, i, 40);
    store<u32>(message, busy, 44);
    const child = Child.at(i);
    child.copyIn(message, <usize>child.join(), MESSAGE_BYTES);
    check(child.start("picture", 0, gasEach).put(), "start a worker");
  }

  const result = outbox.reserve(RESULT_OFFSET + height * rowBytes) + RESULT_OFFSET;
  for (let i: u32 = 0; i < busy; i++) {
    const child = Child.at(i);
    const rows = finish(child);
    let collected: i32 = 0;
    let source = rows;
    for (let y = i; y < height; y += busy) {
      child.copyOut(source, result + y * rowBytes, rowBytes);
      source += rowBytes;
      collected++;
      if (collected == RANGES_LIMIT || y + busy >= height) {
        check(child.get(), "get the rows");
        collected = 0;
      }
    }
    check(child.drop().put(), "drop a worker");
  }
  return height * rowBytes;
}

// ---- children ---------------------------------------------------------------------------------------------

/**
 * Makes `count` children with room for a message and a result of those lengths, and has all of them find it.
 */
function prepareAll(program: usize, count: u32, messageBytes: u32, resultBytes: u32): void {
  const pages = WORKER_PAGES + <u32>((<u64>messageBytes + resultBytes) >> 16) + 1;
  for (let i: u32 = 0; i < count; i++) {
    const child = Child.at(i);
    check(
      child.create(program, memoryQuota(pages)).start("prepare", messageBytes, GAS_TO_PREPARE).put(),
      "make a worker",
    );
  }
}

/** Joins a child after its work: where its result is. */
function finish(child: Child): usize {
  const status = child.wait();
  if (status.faulted) throw new Error(child.explain());
  gasUsed += status.gasUsed;
  return <usize>status.code;
}
