/**
 * What a store is told to write, and what it answers: shared by the thread that writes (writer.ts) and the
 * threads that call it (store.ts).
 */

import type { Ref } from "../heap/heap.ts";
import type { LogPlace } from "./log.ts";
import type { BlockRecord } from "./record.ts";

/** A block to write, by reference. */
export interface NewBlock {
  readonly block: Omit<BlockRecord, "sequence" | "metadata" | "change">;
  /** The root's record in the heap, if its state is to be stored. */
  readonly ref: Ref;
  /** The BLOB of the metadata, 0: none. */
  readonly metadata: Ref;
  /** That of its change of the rules, 0: none. */
  readonly change: Ref;
  /** The BLOBs of its rules, and of the programs that they name. */
  readonly rules: readonly Ref[];
}

/** What is written of a block: its rules are there before it names them, and its root. */
export function refsOfBlock({ block, ref, metadata, change, rules }: NewBlock): Ref[] {
  return [...rules, change, metadata, ...(block.stored ? [ref] : [])];
}

/** What names a block. */
export interface NamedBlock {
  readonly id: Uint8Array;
  readonly height: number;
}

/** What one transaction changes, in this order. */
export interface StoreChange {
  readonly blocks: readonly NewBlock[];
  /** Blocks that are no longer retained, and kept because the states of others are made from them. */
  readonly supports: readonly NamedBlock[];
  /** Blocks that are not kept any more. */
  readonly removed: readonly NamedBlock[];
  /** Blocks that leave the chain at its lower end, the lowest first: they are archived. */
  readonly archived: readonly Uint8Array[];
  readonly pinned: readonly Uint8Array[];
  readonly unpinned: readonly Uint8Array[];
  /** Blocks that come onto the chain. */
  readonly chain: readonly NamedBlock[];
  /** Where the history is, at a retained block. Null: as before, or nowhere yet. */
  readonly head: (NamedBlock & { readonly base: number }) | null;
  /** Where the input log begins that continues from there. Null: there is none; undefined: as before. */
  readonly log?: LogPlace | null;
}

/** What a commit or a sweep did. */
export interface Written {
  readonly objects: number;
  readonly bytes: number;
  /** Whether enough was written since the last sweep to make another one worth it. */
  readonly sweepDue: boolean;
  /** More objects are to be written first: nothing else was done, and the call is to be made again. */
  readonly more: boolean;
}

/**
 * How far a sweep is: its share, or what it freed; or ended by a transaction that failed, because the sweep
 * has marked what that wrote and what is not there.
 */
export type SweepStep = Written | { readonly share: number } | "ended";

/** Called between the steps of a transaction: where the crash harness kills. */
export type Step = (name: string) => void;
