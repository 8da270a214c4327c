/**
 * Queries that every validator answers, at any retained height. A proof is checked with `stillpoint/proof`
 * and the app hash in CometBFT's header of the next height, and needs no trust in this node:
 *
 *   /prove   data: JSON of {"path": [1], "address": 65536, "length": 8}, in the memory of a process. The
 *            value: the bytes. Proof operations: the block's header, and the proof of the bytes
 *   /header  the value: the header of the block of that height
 *
 *   const { root } = verifyHeader(appHash, header.data); const { bytes } = verify(root, memory.data);
 */

import type { Answer, RequestQuery } from "../abci/index.ts";
import { badArgument } from "../arguments.ts";
import type { Block, Runtime } from "../index.ts";

type Answered = Awaited<Answer<"ResponseQuerySchema">>;

/** Type of the proof operation that has the header of the block: the app hash is its hash. */
export const HEADER_PROOF = "stillpoint:header";
/** Type of the proof operation that has the proof of bytes under the root that the header names. */
export const MEMORY_PROOF = "stillpoint:memory";

/** A query is not longer than this, nor are the bytes that a proof shows. */
const DATA_BYTES_MAX = 65_536;
const LENGTH_MAX = 1 << 20;
const DEPTH_MAX = 64;

/** Answers a query on a block; undefined: it is not one of these. */
export async function ownQuery(
  runtime: Runtime,
  { path, data }: RequestQuery,
  block: Block,
): Promise<Answered | undefined> {
  if (data.length > DATA_BYTES_MAX)
    throw badArgument("the length of a query's data", data.length, `at most ${DATA_BYTES_MAX} bytes`);
  if (path === "/header") return { value: runtime.blockHeader(block) };
  if (path !== "/prove") return undefined;
  const range = readRange(data);
  await runtime.recompute(block);
  const proof = runtime.prove(range.path, range.address, range.length, block);
  const ops = [
    { type: HEADER_PROOF, data: runtime.blockHeader(block) },
    { type: MEMORY_PROOF, key: data, data: proof },
  ];
  return { key: data, value: bytesOf(runtime, range, block), proofOps: { ops } };
}

interface Range {
  readonly path: readonly number[];
  readonly address: number;
  readonly length: number;
}

function readRange(data: Uint8Array): Range {
  const wanted = badArgument(
    "data",
    Buffer.from(data).toString(),
    '{"path": […], "address": …, "length": …}',
  );
  let said: Partial<Range> | null;
  try {
    said = JSON.parse(Buffer.from(data).toString()) as Partial<Range> | null;
  } catch {
    throw wanted;
  }
  const { path, address, length } = said ?? {};
  const isPath = Array.isArray(path) && path.length <= DEPTH_MAX && path.every(isNumber);
  if (!isPath || !isNumber(address) || !isNumber(length)) throw wanted;
  if (length <= LENGTH_MAX) return { path, address, length };
  throw badArgument("length", length, `at most ${LENGTH_MAX}`);
}

function isNumber(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
}

/** Empty where the proof shows that there is nothing. */
function bytesOf(runtime: Runtime, { path, address, length }: Range, block: Block): Uint8Array {
  const memoryBytes = runtime.inspect(path, block)?.memoryBytes ?? 0;
  if (address + length > memoryBytes) return new Uint8Array();
  return runtime.read(path, address, length, block);
}
