/** A block: what it is, what it was made from, and where it stands. */

import { StoreError, UsageError } from "../../errors.ts";
import type { Block, Rules } from "../../index.ts";
import type { Query } from "../query.ts";
import type { Source } from "../source.ts";
import { blockDataOf, countsOf } from "../transactions.ts";
import type { BlockRow } from "./chain.ts";
import { clipped } from "./text.ts";

const ABOVE = 20;
const PROGRAMS = 32;
const BYTES = 64;
/** Blocks of one height that are looked at. */
const SAME_HEIGHT = 256;

/** Bytes that a view does not show all of. */
export interface Excerpt {
  readonly bytes: number;
  /** The first 64, in hex. */
  readonly hex: string;
}

export interface BlockView {
  readonly row: BlockRow | null;
  readonly id: string;
  readonly height: number;
  readonly parent: string;
  /** Whether the block before is there. */
  readonly hasParent: boolean;
  readonly root: string;
  readonly gasUsed: number;
  readonly ended: boolean;
  readonly data: Excerpt;
  /** What it says, by name, if the program of the root tells: [name, value]. */
  readonly dataFields: readonly (readonly [name: string, text: string])[];
  /** Rows in it. */
  readonly dataRows: { readonly name: string; readonly count: number } | null;
  readonly above: readonly BlockRow[];
  /** Null: it cannot be read, for the reason beside it. */
  readonly input: InputView | null;
  readonly inputReason: string | null;
  /** How many transactions an app ran in it, and how many failed; null: it is not one of an app. */
  readonly transactions: { readonly count: number; readonly failed: number } | null;
  /** Height of the stored block from whose state this one's is made to show it; null: it is not made. */
  readonly madeFrom: number | null;
}

export interface InputView {
  readonly metadata: Excerpt;
  readonly gasLimit: number;
  /** Names of the rules that it changed; null: none. */
  readonly changes: readonly string[] | null;
  readonly rules: Omit<Rules, "programs">;
  readonly programs: readonly { readonly hash: string; readonly contracts: readonly string[] }[];
}

export function blockView(source: Source, query: Query): BlockView {
  const block = named(source, query);
  const { id, height, parent, root, gasUsed, ended } = block;
  const { index } = source;
  const { value: input, reason: inputReason } = readable(() => inputOf(source, block));
  return {
    row: index.get(id) ?? null,
    ...{ id, height, parent, root, gasUsed, ended, input, inputReason },
    hasParent: index.get(parent) !== undefined,
    data: excerpt(block.data),
    ...(readable(() => dataOf(source, block)).value ?? NO_DATA),
    above: index.above(id, ABOVE),
    transactions: readable(() => countsOf(source, block)).value,
    madeFrom: readable(() => source.chain.madeFrom(block)).value,
  };
}

type Data = Pick<BlockView, "dataFields" | "dataRows">;
const NO_DATA: Data = { dataFields: [], dataRows: null };

function dataOf(source: Source, block: Block): Data {
  const data = blockDataOf(source, block);
  if (data === null) return NO_DATA;
  const { rowName: name, rowCount: count } = data;
  return {
    dataFields: data.fields.map(([field, text]) => [field, clipped(text) ?? ""]),
    dataRows: name === null ? null : { name, count },
  };
}

/** By its id, or of the chain by its height. */
function named(source: Source, query: Query): Block {
  const height = query.integer("height", -1, 0, Number.MAX_SAFE_INTEGER);
  if (height < 0) return source.block(query.id());
  const found = source.index.below(height, SAME_HEIGHT).find((each) => each.height === height && each.chain);
  if (found !== undefined) return source.block(found.id);
  const { blocks } = source.index;
  const held = `the chain has the heights ${blocks.at(-1)?.height} to ${blocks[0]?.height}`;
  throw new UsageError("NOT_RETAINED", `block ${height} is not retained: ${held}`, { height });
}

function inputOf({ chain, programs }: Source, block: Block): InputView {
  const { metadata, gasLimit, rules: change } = chain.input(block);
  const { programs: named, ...rules } = chain.rules(block);
  return {
    metadata: excerpt(metadata),
    gasLimit,
    changes: change === undefined ? null : Object.keys(change),
    rules,
    programs: named.slice(0, PROGRAMS).map((hash) => {
      return { hash, contracts: Object.keys(programs.get(hash).client?.contracts ?? {}) };
    }),
  };
}

function excerpt(bytes: Uint8Array): Excerpt {
  return { bytes: bytes.length, hex: Buffer.from(bytes.subarray(0, BYTES)).toString("hex") };
}

/** What it gives; null and why, if it is damaged or not there. */
export function readable<T>(read: () => T): { readonly value: T | null; readonly reason: string | null } {
  try {
    return { value: read(), reason: null };
  } catch (error) {
    if (error instanceof StoreError || error instanceof UsageError)
      return { value: null, reason: error.message };
    throw error;
  }
}
