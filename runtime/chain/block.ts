/** Blocks: what one is, its id, and how an activation of the root becomes one. */

import { hash } from "node:crypto";
import * as abi from "../../syscalls/abi.ts";
import { badArgument } from "../arguments.ts";
import type { BatchReport } from "../batch/evidence.ts";
import { StillpointError, UsageError } from "../errors.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { lookAt } from "../heap/stub.ts";
import { hashOf } from "../image/hash.ts";
import { loadProcess, type Process } from "../image/process.ts";
import { FAULT_NAMES } from "../kernel/faults.ts";
import { encodeHeader } from "../proof/header.ts";
import { hexOf } from "../text.ts";
import { changeOf, decodeChange, type RetainedInput } from "./change.ts";
import type { Trace } from "./results.ts";
import type { KnownRules } from "./rulebook.ts";

/**
 * A committed block: a value that stays valid, also after reverts; `revert` takes it as long as it is
 * retained.
 */
export interface Block {
  /** 0 for the block that `open` makes. */
  readonly height: number;
  /**
   * SHA-256 over genesis, height, parent, root, data, metadata, budget, rules and their change, in hex: the
   * same on every replica.
   */
  readonly id: string;
  /** Id of the block before; the genesis id for block 0. */
  readonly parent: string;
  /** SHA-256 root of the process tree, in hex. */
  readonly root: string;
  /** The bytes that the root gave to SNAPSHOT. */
  readonly data: Uint8Array;
  /**
   * Gas that left the root's counter and did not come back; negative if more came back than left, from
   * children that were started in earlier blocks.
   */
  readonly gasUsed: number;
  /** Whether the root returned: no block can follow. */
  readonly ended: boolean;
}

/**
 * The root faulted: there is no block, and the runtime stands where it stood before. `trace` with the same
 * metadata shows where, and what its children did. `facts` has the height, the fault, the text of an abort
 * with line and column, and the gas used; `program` is the hash of one that it asked for in vain; `index` is
 * the block's among those of a `reorg`; `transaction` is there where the root aborts with a text that begins
 * with "transaction 17", say.
 *
 * @example
 * ```ts
 * const error = await runtime.produce(Uint8Array.of(1), { gasLimit: 10 }).catch((thrown) => thrown);
 * console.log(error instanceof BlockFault, error.facts.fault, runtime.head.height); // true out-of-gas 0
 * ```
 */
export class BlockFault extends StillpointError {
  /** `program`: the hash of one that it asked for in vain. */
  constructor(
    height: number,
    fault: string,
    process: AbortPlace,
    text: string,
    program: string | null = null,
  ) {
    const { line, column, gasUsed } = process;
    const place = line === 0 ? "" : ` (${line}:${column})`;
    const what = text === "" ? fault : `${fault}: ${text}${place}`;
    const transaction = TRANSACTION.exec(text)?.[1];
    const advice =
      fault === "out-of-gas"
        ? "Give the block more gas or less to do"
        : "formatFaults(await runtime.trace({ metadata })) shows where";
    const missing =
      program === null ? "" : `No program has the hash ${program}: give its bytes in "programs". `;
    super("BLOCK_FAULT", `the root faulted in block ${height}: ${what}. ${missing}${advice}`, {
      height,
      fault,
      text,
      line,
      column,
      gasUsed,
      ...(program === null ? {} : { program }),
      ...(transaction === undefined ? {} : { transaction: Number(transaction) }),
    });
  }
}

/** The part of an error's message about an aborted process. */
type AbortPlace = Pick<Process, "line" | "column" | "gasUsed">;

/** In the text of an abort: a program was not found, or not admitted. */
const NO_PROGRAM = /\bE_BAD_PROGRAM\b/;

/**
 * The error itself, or, where the root may have asked for a program that nobody gave, one that names it: the
 * block is run once more for that.
 */
export async function withProgram(error: unknown, trace: () => Promise<Trace>): Promise<unknown> {
  if (!(error instanceof BlockFault)) return error;
  const { height, fault, text, line, column, gasUsed } = error.facts as unknown as BlockFacts;
  if (!NO_PROGRAM.test(text)) return error;
  const { events } = await trace();
  const asked = events.filter((event) => event.what === "put" && event.path.length === 0);
  const last = asked.at(-1);
  const program = last?.what === "put" ? last.unknownProgram : undefined;
  return program === undefined
    ? error
    : new BlockFault(height, fault, { line, column, gasUsed }, text, program);
}

/** Facts of a block's fault. */
interface BlockFacts extends AbortPlace {
  readonly height: number;
  readonly fault: string;
  readonly text: string;
}

/** How the message of an abort names the transaction that the root was at: "transaction 17: …". */
const TRANSACTION = /^transaction (\d{1,15})\b/;

/**
 * A block, its state, and what it takes to run it again.
 *
 * Where a store has an input log, not every state lies in it. One that does not is made again from that of
 * the block `before`; it may be dropped from the heap, and is not there after a restart (recompute.ts).
 */
export interface Retained {
  readonly block: Block;
  /** The root's image; 0: neither in the heap nor in a store. */
  ref: Ref;
  /** The block from which the state is made again; null: it lies in a store, or nowhere but in the heap. */
  before: Retained | null;
  /** The BLOB of its metadata; 0 for block 0. */
  readonly metadata: Ref;
  readonly budget: number;
  /** The rules in force in it. */
  readonly rules: KnownRules;
  /** The BLOB of what it changed of the rules before; 0: nothing. */
  readonly change: Ref;
}

/** What reaches objects in the heap for a retained block. */
export function refsOf({ ref, metadata, change }: Retained): Ref[] {
  return [ref, metadata, change];
}

/** Throws unless `target` names a block: a height, or a block's value. */
export function checkTarget(target: number | Block): void {
  if (typeof target === "number" || typeof target?.id === "string") return;
  throw badArgument("block", target, "a height or a block");
}

/**
 * The state of a retained block is not there; `below` and `above` are the nearest heights of its chain whose
 * states are.
 */
export function noState(
  { id, height }: Pick<Block, "id" | "height">,
  below: number | null,
  above: number | null,
) {
  const heights = [below, above].filter((one) => one !== null);
  const nearest =
    heights.length === 0 ? "" : ` The nearest that are stored are of heights ${heights.join(" and ")}.`;
  return new UsageError(
    "NO_STATE",
    `the state of block ${height} (${id}) is not stored: it is made again from one below.${nearest} ` +
      "recompute() of a runtime on its store makes it, and pin() there has it stored",
    { target: id, height, below, above },
  );
}

/** What a retained block was made from: a copy. */
export function inputOf(heap: Heap, { metadata, budget, change }: Retained): RetainedInput {
  return lookAt(heap, () => {
    const bytes = metadata === 0 ? new Uint8Array() : new Uint8Array(heap.payload(metadata));
    return inputFrom(bytes, budget, change === 0 ? null : heap.payload(change));
  });
}

/** What a block was made from; `change`: that of the rules as bytes, null: none. */
export function inputFrom(metadata: Uint8Array, gasLimit: number, change: Uint8Array | null): RetainedInput {
  return change === null
    ? { metadata, gasLimit }
    : { metadata, gasLimit, rules: changeOf(decodeChange(change)) };
}

/** Throws unless `target` names an archived block: a height, or an id. */
export function checkArchived(target: number | string): void {
  if (typeof target === "number" || (typeof target === "string" && /^[0-9a-f]{64}$/.test(target))) return;
  throw badArgument("block", target, "a height or an id");
}

/** What a block's id is a hash of, besides genesis. */
export interface BlockFields {
  readonly height: number;
  readonly budget: number;
  readonly parent: Uint8Array;
  readonly root: Uint8Array;
  readonly data: Uint8Array;
  /** Hashes of blobs; null: there is none. */
  readonly metadata: Uint8Array | null;
  readonly change: Uint8Array | null;
  /** Hash of the rules in force. */
  readonly rules: Uint8Array;
}

/** What the id of a block is the hash of. */
export function headerOf(genesis: Uint8Array, block: BlockFields): Uint8Array {
  const { data, budget, metadata, change, ...fields } = block;
  return encodeHeader({
    ...fields,
    genesis,
    gasLimit: budget,
    dataHash: hash("sha256", data, "buffer"),
    metadataHash: metadata ?? NO_METADATA_HASH,
    change: change ?? NO_CHANGE,
  });
}

/** The id of a block. */
export function blockId(genesis: Uint8Array, fields: BlockFields): Buffer {
  return hash("sha256", headerOf(genesis, fields), "buffer");
}

/** The metadata of block 0: none. */
const NO_METADATA_HASH = hash("sha256", new Uint8Array(), "buffer");
const NO_CHANGE = new Uint8Array(32);

type Input = Pick<Retained, "metadata" | "change" | "rules">;

function inputHashes(heap: Heap, { metadata, change, rules }: Input): Omit<BlockFields, keyof Made> {
  const hashes = [metadata, change].map((ref) => (ref === 0 ? null : hashOf(heap, ref)));
  return { metadata: hashes[0] ?? null, change: hashes[1] ?? null, rules: Buffer.from(rules.hash, "hex") };
}

type Made = Pick<BlockFields, "height" | "budget" | "parent" | "root" | "data">;

/** The header of a retained block. */
export function retainedHeader(heap: Heap, genesis: Uint8Array, retained: Retained): Uint8Array {
  const { block, budget } = retained;
  const { height, data } = block;
  const [parent, root] = [block.parent, block.root].map((hex) => Buffer.from(hex, "hex")) as [Buffer, Buffer];
  return headerOf(genesis, { height, budget, parent, root, data, ...inputHashes(heap, retained) });
}

/** The bytes that a root gave to SNAPSHOT: a copy, for who has a block may write into its data. */
export function dataOf(heap: Heap, root: Ref): Uint8Array {
  const { text } = loadProcess(heap, root);
  return text === 0 ? new Uint8Array() : new Uint8Array(heap.payload(text));
}

/**
 * A block that ran: the root's image, the BLOBs of its metadata and of what it changed of the rules (0:
 * none), and the rules in force.
 */
export interface BlockRun {
  readonly result: Ref;
  readonly metadata: Ref;
  readonly change: Ref;
  readonly rules: KnownRules;
  /** Delivers the reports of its batches, now that the block is known; throws what `onBatch` throws. */
  reports(block: Block): readonly BatchReport[];
}

/**
 * The block that an activation of the root ended with.
 *
 * @throws BlockFault
 */
export function makeBlock(
  heap: Heap,
  genesis: Uint8Array,
  run: BlockRun,
  height: number,
  parent: string,
  budget: number,
): Retained {
  const { result, metadata, change, rules } = run;
  const process = loadProcess(heap, result);
  const data = dataOf(heap, result);
  if (process.status === abi.STATUS_FAULTED) {
    const text = Buffer.from(data).toString("utf8");
    throw new BlockFault(height, FAULT_NAMES[process.fault] as string, process, text);
  }
  const root = hashOf(heap, result);
  const fields = {
    height,
    budget,
    parent: Buffer.from(parent, "hex"),
    root,
    data,
    ...inputHashes(heap, run),
  };
  const block: Block = Object.freeze({
    height,
    id: blockId(genesis, fields).toString("hex"),
    parent,
    root: hexOf(root),
    data,
    gasUsed: process.gasUsed,
    ended: process.status === abi.STATUS_ENDED,
  });
  return { block, ref: result, before: null, metadata, budget, rules, change };
}
