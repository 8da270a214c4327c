/**
 * An application of CometBFT over a runtime: `serveAbci(validator(runtime, chain))`.
 *
 * - A node executes a block once: as a proposal of its own or of others, or else in FinalizeBlock. Each time
 *   that makes a candidate, which is not durable. Commit makes the decided one the head.
 * - The app hash is the block's id, which names height, parent, root, data and metadata.
 * - Info reports the last block that was committed. So CometBFT, started again after any crash, replays what
 *   this node has lost, and nothing twice.
 * - A block is refused only for a reason that every replica sees. An error of this host, such as full memory
 *   or a full disk, is an Exception in the calls of consensus: CometBFT stops, and once there is room again
 *   it resumes from the last commit. In CheckTx and Query, where a client can cause errors, it is a code.
 *
 * The runtime belongs to the validator alone: InitChain makes its first block, and each block of CometBFT
 * makes one more. Heights in this file are CometBFT's.
 */

import {
  type AbciApplication,
  type Answer,
  type Asking,
  type RequestCheckTx,
  type RequestFinalizeBlock,
  type RequestInitChain,
  type RequestPrepareProposal,
  type RequestProcessProposal,
  type RequestQuery,
  ResponseProcessProposal_ProposalStatus as Vote,
} from "../abci/index.ts";
import { assert, StillpointError, UsageError } from "../errors.ts";
import type { Block, Candidate, Runtime } from "../index.ts";
import { type BlockContext, blockMessage, genesisMessage, type Place, placeOf } from "./message.ts";
import { Proposals } from "./proposals.ts";

/** What a block's data says, in CometBFT's terms. Only its `log` and `info` may differ between replicas. */
export type BlockResults = Omit<Awaited<Answer<"ResponseFinalizeBlockSchema">>, "appHash" | "$typeName">;

/** What the author of a chain provides. */
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
  /** Answers a query on a retained block: that of the request's height, or the last. Default: a code. */
  query?(request: RequestQuery, block: Block, asking: Asking): Answer<"ResponseQuerySchema">;
}

/** The codespace of codes that are about this host or the request, not about the chain. */
export const HOST_CODESPACE = "stillpoint";
const HOST_CODE = 1;

/**
 * An application for `serveAbci` that runs blocks on a runtime. Their metadata is what
 * runtime/validator/message.ts draws.
 *
 * @throws UsageError BAD_OPTION if the runtime has blocks that no validator made
 * @example
 * ```ts
 * const runtime = await Runtime.open({ root, store: "state" });
 * const server = await serveAbci(validator(runtime, chain), { checksAtOnce: 16 });
 * ```
 */
export function validator(runtime: Runtime, chain: ValidatorChain): AbciApplication {
  return new Validator(runtime, chain);
}

class Validator implements AbciApplication {
  readonly #runtime: Runtime;
  readonly #chain: ValidatorChain;
  readonly #proposals: Proposals;
  /** Where the head is in CometBFT's chain; null: before InitChain. */
  #place: Place | null;
  /** The block that FinalizeBlock has executed, for Commit. */
  #decided: { readonly candidate: Candidate; readonly place: Place } | null = null;

  constructor(runtime: Runtime, chain: ValidatorChain) {
    this.#runtime = runtime;
    this.#chain = chain;
    this.#proposals = new Proposals(runtime);
    this.#place = runtime.head.height === 0 ? null : placeOf(runtime.input().metadata);
  }

  info(): Awaited<Answer<"ResponseInfoSchema">> {
    const lastBlockHeight = this.#place?.height ?? 0n;
    return { lastBlockHeight, lastBlockAppHash: appHash(this.#runtime.head) };
  }

  async initChain(request: RequestInitChain): Promise<Awaited<Answer<"ResponseInitChainSchema">>> {
    const metadata = genesisMessage(request);
    if (this.#place === null) {
      await this.#proposals.commit(await this.#proposals.execute(metadata));
      this.#place = placeOf(metadata);
    }
    const { head } = this.#runtime;
    if (this.#place.height !== 0n || Buffer.compare(this.#runtime.input().metadata, metadata) !== 0) {
      const text =
        `CometBFT starts a chain, and the runtime's store has one at height ${this.#place.height}: ` +
        "restore the data of CometBFT, or give the runtime an empty store, which CometBFT fills by replaying";
      throw new UsageError("OTHER_CHAIN", text, { height: this.#place.height });
    }
    const { validatorUpdates: validators, consensusParamUpdates: consensusParams } = this.#chain.results(
      head,
      [],
    );
    return {
      appHash: appHash(head),
      ...(validators === undefined ? {} : { validators }),
      ...(consensusParams === undefined ? {} : { consensusParams }),
    };
  }

  // ---- CheckTx and Query: nothing that a client sends may stop the node -----------------------------------

  async checkTx(request: RequestCheckTx, asking: Asking): Promise<Awaited<Answer<"ResponseCheckTxSchema">>> {
    try {
      return await this.#chain.check(request, this.#runtime.head, asking);
    } catch (error) {
      return refused(error);
    }
  }

  async query(request: RequestQuery, asking: Asking): Promise<Awaited<Answer<"ResponseQuerySchema">>> {
    try {
      const { query } = this.#chain;
      if (query === undefined) throw new UsageError("BAD_ARGUMENT", "this chain has no queries");
      const block = this.#blockAt(request.height);
      const height = request.height === 0n ? (this.#place?.height ?? 0n) : request.height;
      return { height, ...(await query.call(this.#chain, request, block, asking)) };
    } catch (error) {
      return refused(error);
    }
  }

  /** The block of this height; 0: the last. */
  #blockAt(height: bigint): Block {
    const { head } = this.#runtime;
    const below = (this.#place?.height ?? 0n) - height;
    if (height === 0n || below === 0n) return head;
    const at = head.height - Number(below);
    // Below the first block is the genesis, which has no height.
    const found = height < 0n || below < 0n || at < 2 ? undefined : this.#blockOf(at);
    if (found !== undefined) return found;
    throw new UsageError("NOT_RETAINED", `there is no block of height ${height} here`, { height });
  }

  #blockOf(height: number): Block | undefined {
    return this.#runtime.blocks().find((block) => block.height === height);
  }

  // ---- consensus ------------------------------------------------------------------------------------------

  async prepareProposal(request: RequestPrepareProposal): Promise<{ txs: Uint8Array[] }> {
    const ordered = this.#chain.order?.(request.txs) ?? request.txs;
    const txs = fitting(ordered, request.maxTxBytes);
    for (let count = txs.length; count > 0; count = Math.floor(count / 2)) {
      const some = txs.slice(0, count);
      try {
        await this.#execute({ ...request, txs: some, lastCommit: request.localLastCommit });
        return { txs: some };
      } catch {
        // It faults, or this host lacks room: fewer transactions may fit.
      }
    }
    return { txs: [] };
  }

  async processProposal(request: RequestProcessProposal): Promise<{ status: Vote }> {
    try {
      await this.#execute({ ...request, lastCommit: request.proposedLastCommit });
      return { status: Vote.ACCEPT };
    } catch (error) {
      if (error instanceof StillpointError && error.deterministic) return { status: Vote.REJECT };
      throw error;
    }
  }

  async finalizeBlock(
    request: RequestFinalizeBlock,
  ): Promise<Awaited<Answer<"ResponseFinalizeBlockSchema">>> {
    const { candidate, place } = await this.#execute({ ...request, lastCommit: request.decidedLastCommit });
    const results = this.#chain.results(candidate, request.txs);
    const count = results.txResults?.length ?? 0;
    assert(count === request.txs.length, `${count} results of ${request.txs.length} transactions`);
    this.#decided = { candidate, place };
    return { ...results, appHash: appHash(candidate) };
  }

  async commit(): Promise<Awaited<Answer<"ResponseCommitSchema">>> {
    if (this.#decided === null)
      throw new UsageError("STATE", "Commit came before FinalizeBlock: there is no block to commit");
    const { candidate, place } = this.#decided;
    await this.#proposals.commit(candidate);
    this.#decided = null;
    this.#place = place;
    return {};
  }

  async #execute(context: BlockContext): Promise<{ candidate: Candidate; place: Place }> {
    const { height } = context;
    const next = this.#place?.nextHeight;
    if (height !== next) {
      const text = `a block of height ${height} cannot follow: the next is ${next ?? "made by InitChain"}`;
      throw new UsageError("STATE", text, { height });
    }
    const metadata = blockMessage(context);
    return { candidate: await this.#proposals.execute(metadata), place: placeOf(metadata) };
  }
}

function appHash({ id }: Block): Uint8Array {
  return Buffer.from(id, "hex");
}

/** As many of the first ones as fit into a block; CometBFT counts the key and the length of each too. */
function fitting(txs: readonly Uint8Array[], limit: bigint): Uint8Array[] {
  let left = Number(limit);
  const fit = txs.findIndex(({ length }) => {
    left -= 1 + lengthBytes(length) + length;
    return left < 0;
  });
  return txs.slice(0, fit === -1 ? txs.length : fit);
}

function lengthBytes(length: number): number {
  let bytes = 1;
  for (let left = length; left >= 0x80; left >>>= 7) bytes++;
  return bytes;
}

function refused(error: unknown): { code: number; codespace: string; log: string } {
  const log = error instanceof StillpointError ? `${error.code}: ${error.message}` : "the application failed";
  return { code: HOST_CODE, codespace: HOST_CODESPACE, log };
}
