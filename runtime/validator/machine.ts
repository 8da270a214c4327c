/** What a validator needs of whatever executes its blocks: a runtime with the author's root, or an App. */

import type { Answer, Asking, RequestCheckTx, RequestInitChain, RequestQuery } from "../abci/index.ts";
import type { Block, Candidate, RulesChange, Runtime } from "../index.ts";
import type { BlockContext, Place } from "./message.ts";

/** What a block's data says, in CometBFT's terms. Only its `log` and `info` may differ between replicas. */
export type BlockResults = Omit<Awaited<Answer<"ResponseFinalizeBlockSchema">>, "appHash" | "$typeName">;

/** What the runtime makes a block of. */
export interface BlockInput {
  readonly metadata: Uint8Array;
  readonly rules?: RulesChange;
}

/** Executes the blocks of a chain, and says what they mean to CometBFT. */
export interface Machine {
  readonly runtime: Runtime;

  /**
   * Where a retained block is in CometBFT's chain; null: before InitChain.
   *
   * @throws UsageError BAD_OPTION if no validator made it
   */
  place(block: Block): Place | null;

  /** The input of the block that InitChain makes. */
  genesis(request: RequestInitChain): BlockInput;

  /**
   * The input of a block on the head.
   *
   * @throws UsageError UPGRADE_MISSING: it needs a program that this node does not have
   */
  block(context: BlockContext): BlockInput;

  results(block: Block, txs: readonly Uint8Array[]): BlockResults;

  /** Refuses the block of InitChain if it did not do what it should. */
  checkGenesis(candidate: Candidate): void;

  /** Whether a transaction may wait, on the newest state with what waits already. */
  check(request: RequestCheckTx, asking: Asking): Answer<"ResponseCheckTxSchema">;

  /** Which of the waiting transactions a proposal is to have, and in which order. */
  order(txs: readonly Uint8Array[]): Promise<readonly Uint8Array[]>;

  /** Those transactions of a block that an honest proposer puts into it. */
  proper(block: Block, txs: readonly Uint8Array[]): readonly Uint8Array[];

  /** Answers a query for which the validator has no path of its own. Undefined: there is no such path. */
  query(request: RequestQuery, block: Block, asking: Asking): Answer<"ResponseQuerySchema"> | undefined;

  /** There is a new head, or the heap is full: gives up what checks hold. */
  renew(): Promise<void>;

  /** Closes the runtime. */
  close(): Promise<void>;
}
