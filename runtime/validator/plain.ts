/** A chain whose author gives the root: how to check, order and read transactions is the author's too. */

import type { Answer, Asking, RequestCheckTx, RequestInitChain, RequestQuery } from "../abci/index.ts";
import type { Block, Runtime } from "../index.ts";
import type { BlockInput, BlockResults, Machine } from "./machine.ts";
import { type BlockContext, blockMessage, genesisMessage, type Place, placeOf } from "./message.ts";

/** What the author of a chain over a `Runtime` provides. */
export interface ValidatorChain {
  /** Whether a transaction may wait, by views on the last block. */
  check(request: RequestCheckTx, head: Block, asking: Asking): Answer<"ResponseCheckTxSchema">;
  /**
   * The result of each transaction of a block, and the changes of validators and consensus parameters: a
   * function of the block's data alone.
   */
  results(block: Block, txs: readonly Uint8Array[]): BlockResults;
  /**
   * Which of the waiting transactions go into a block, and in which order. Those that do not fit are left
   * out. Default: all, in CometBFT's order.
   */
  order?(txs: readonly Uint8Array[]): readonly Uint8Array[];
  /**
   * Answers a query on a retained block: that of the request's height, or the last. Paths of the validator
   * (`QUERY_PATHS`) do not reach it. Default: a code.
   */
  query?(request: RequestQuery, block: Block, asking: Asking): Answer<"ResponseQuerySchema">;
}

export class PlainMachine implements Machine {
  readonly runtime: Runtime;
  readonly #chain: ValidatorChain;

  constructor(runtime: Runtime, chain: ValidatorChain) {
    this.runtime = runtime;
    this.#chain = chain;
  }

  place(block: Block): Place | null {
    return block.height === 0 ? null : placeOf(this.runtime.input(block).metadata);
  }

  genesis(request: RequestInitChain): BlockInput {
    return { metadata: genesisMessage(request) };
  }

  block(context: BlockContext): BlockInput {
    return { metadata: blockMessage(context) };
  }

  results(block: Block, txs: readonly Uint8Array[]): BlockResults {
    return this.#chain.results(block, txs);
  }

  checkGenesis(): void {}

  check(request: RequestCheckTx, asking: Asking): Answer<"ResponseCheckTxSchema"> {
    return this.#chain.check(request, this.runtime.head, asking);
  }

  async order(txs: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    return this.#chain.order?.(txs) ?? txs;
  }

  proper(_: Block, txs: readonly Uint8Array[]): readonly Uint8Array[] {
    return txs;
  }

  query(request: RequestQuery, block: Block, asking: Asking): Answer<"ResponseQuerySchema"> | undefined {
    return this.#chain.query?.(request, block, asking);
  }

  async renew(): Promise<void> {}

  close(): Promise<void> {
    return this.runtime.close();
  }
}
