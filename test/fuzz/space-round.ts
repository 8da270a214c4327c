/** A round of the fuzzer "space": blocks of the guest "keeper" in the smallest heap that `open` takes. */

import { heapBounds } from "../../runtime/chain/bounds.ts";
import {
  CHUNK_BYTES,
  CONTROL_CHUNKS,
  HEADER_REFERENCES,
  type Heap,
  KIND_PROCESS,
  type Ref,
  referencesOf,
  UNIT_BYTES,
  UNIT_WORDS,
} from "../../runtime/heap/heap.ts";
import { hashHexOf } from "../../runtime/heap/stub.ts";
import { type Block, programHash, Runtime, type StillpointError } from "../../runtime/index.ts";
import { DATA_BYTES_LIMIT } from "../../runtime/limits.ts";
import { guest } from "../fixture.ts";
import { tinyModule } from "../gas/modules.ts";
import { random } from "../kernel/trees.ts";

export interface RoundOfSpace {
  readonly seed: number;
  readonly blocks: number;
  /** Blocks that there were not, for their root ran out of something. */
  readonly faults: number;
  /** Blocks that were forgotten to make room. */
  readonly forgotten: number;
  /** The largest part of what `open` asserts for the state that one took. */
  readonly fullest: number;
  /** What must not be; null: it was not. */
  readonly found: string | null;
}

/** Small, so that quotas fill within few blocks, and what `open` adds for safety is little beside them. */
const RULES = { gasLimit: 12_000_000, heldGasQuota: 4_000_000, memoryQuotaPages: 5_000, processQuota: 400 };
const HOST = { workers: 1, views: 0 };
const METADATA_MOST = 100_000;
/** What is left of the terms that do not grow with the rules: metadata of two blocks, programs of genesis. */
const FIXED_BYTES = 2 * METADATA_MOST + (2 << 20);
/** Blocks of one kind in turn: a child fills its quota in half of them. */
const ERA = 60;
/** Blocks from one look at the state to the next. */
const LOOKS = 8;
/** Modes of the guest. */
const ANYTHING = 0;
const ROOT_FILLS = 1;
const CHILD_FILLS = 2;
const LOWEST_FILLS = 3;
const SMALL_ONES = 4;
const DROP_ALL = 5;
const ERAS = [CHILD_FILLS, ANYTHING, LOWEST_FILLS, ROOT_FILLS, SMALL_ONES];
const SCATTERED = 1 << 16;

const [keeper, tiny] = [await guest("keeper"), tinyModule(0)];

export async function playSpace(seed: number, count: number): Promise<RoundOfSpace> {
  const next = random(seed);
  let forgotten = 0;
  const runtime = await Runtime.open({
    ...{ root: keeper, programs: [keeper, tiny], ...RULES, ...HOST },
    heapBytes: heapBounds(RULES, HOST).heapBytes,
    onForget: (blocks: readonly Block[]) => {
      forgotten += blocks.length;
    },
  });
  const { heap } = runtime.engine;
  // Without what is there for metadata and programs that this chain does not have.
  const { heapBytes, stateBytes } = heapBounds(RULES, HOST);
  const least = heapBytes - 2 * DATA_BYTES_LIMIT - (16 << 20) + FIXED_BYTES;
  heap.control[CONTROL_CHUNKS] = Math.ceil(least / CHUNK_BYTES) + 1;
  let faults = 0;
  let fullest = 0;
  let found: string | null = null;
  try {
    const firstEra = next(ERAS.length);
    for (let block = 0; block < count && found === null; block++) {
      const mode = ERAS[(firstEra + Math.floor(block / ERA)) % ERAS.length] as number;
      const begins = block % ERA === 0 && (mode === CHILD_FILLS || mode === LOWEST_FILLS);
      const metadata = write(next, begins ? DROP_ALL : mode);
      try {
        await runtime.produce(metadata);
      } catch (error) {
        const { code, message } = error as StillpointError;
        if (code === "BLOCK_FAULT") faults++;
        else found = `block ${block} of mode ${mode}: ${code} ${message}`;
      }
      if (block % LOOKS !== 0) continue;
      const part = reachedBytes(heap, stateOf(runtime)) / stateBytes;
      fullest = Math.max(fullest, part);
      if (part > 1)
        found ??= `block ${block} of mode ${mode}: a state of ${part} times what is asserted for it`;
    }
  } finally {
    await runtime.close();
  }
  return { seed, blocks: count, faults, forgotten, fullest, found };
}

/** Metadata of a block of that mode. */
function write(next: (limit: number) => number, mode: number): Uint8Array {
  const bytes = Buffer.alloc(88 + (next(4) === 0 ? next(METADATA_MOST - 88) : 0), next(256));
  const isLarge = next(10) === 0;
  const pages = isLarge ? 1 + next(40) : 100 + next(220) + next(2) * SCATTERED;
  const [count, gas] = mode === ANYTHING ? [1 + next(12), 600_000] : [pages, 8_500_000];
  bytes.writeUInt32LE(1 + next(2 ** 31), 0);
  bytes.writeUInt32LE(mode, 4);
  bytes.writeUInt32LE(count, 8);
  bytes.writeUInt32LE(isLarge ? next(5_000_000) : 0, 12);
  bytes.writeBigUInt64LE(BigInt(gas), 16);
  bytes.set(programHash(keeper), 24);
  bytes.set(programHash(tiny), 56);
  return new Uint8Array(bytes);
}

/** The reference of the head's state. */
function stateOf({ engine, head }: Runtime): Ref {
  const { heap } = engine;
  let found: Ref = 0;
  heap.walk((ref) => {
    if (heap.kind(ref) === KIND_PROCESS && hashHexOf(heap, ref) === head.root) found = ref;
  });
  if (found === 0) throw new Error("space: the state of the head is not in the heap");
  return found;
}

/** Bytes of all that an object reaches, itself included. */
function reachedBytes(heap: Heap, root: Ref): number {
  const seen = new Set<Ref>([0]);
  const stack = [root];
  let units = 0;
  for (let ref = stack.pop(); ref !== undefined; ref = stack.pop()) {
    if (seen.has(ref)) continue;
    seen.add(ref);
    units += heap.units(ref);
    const first = referencesOf(heap.words, ref);
    const count = heap.words[ref * UNIT_WORDS + HEADER_REFERENCES] as number;
    for (let i = first; i < first + count; i++) stack.push(heap.words[i] as number);
  }
  return units * UNIT_BYTES;
}
