/**
 * An application of CometBFT over a runtime or an App: `serveAbci(validator(app, chain))`.
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
 * The runtime belongs to the validator alone: InitChain makes a block, and each block of CometBFT makes one
 * more. Heights in this file are CometBFT's.
 */

import {
  type AbciApplication,
  type Answer,
  ResponseApplySnapshotChunk_Result as Applied,
  type Asking,
  ResponseOfferSnapshot_Result as Offered,
  type RequestApplySnapshotChunk,
  type RequestCheckTx,
  type RequestFinalizeBlock,
  type RequestInitChain,
  type RequestLoadSnapshotChunk,
  type RequestOfferSnapshot,
  type RequestPrepareProposal,
  type RequestProcessProposal,
  type RequestQuery,
  ResponseProcessProposal_ProposalStatus as Vote,
} from "../abci/index.ts";
import { App } from "../app/index.ts";
import { badArgument, integer } from "../arguments.ts";
import { assert, LimitError, StillpointError, UsageError } from "../errors.ts";
import type { Block, Candidate, Runtime } from "../index.ts";
import type { Contracts } from "../typed/client.ts";
import { type AppChain, AppMachine } from "./app.ts";
import { Heights } from "./heights.ts";
import type { BlockInput, Machine } from "./machine.ts";
import type { BlockContext } from "./message.ts";
import { PlainMachine, type ValidatorChain } from "./plain.ts";
import { Proposals } from "./proposals.ts";
import { ownQuery } from "./query.ts";
import { Restore } from "./restore.ts";
import { Snapshots } from "./snapshots.ts";

/** The codespace of codes that are about this host or the request, not about the chain. */
export const HOST_CODESPACE = "stillpoint";
const HOST_CODE = 1;

/** State sync: what a node serves to others, and how it starts from what they serve. */
export interface SyncOptions {
  /** The directory of the store. Snapshots lie beside it, and imports. */
  readonly store: string;
  /**
   * Opens the App or the runtime on the store once more, and makes a validator of it: after a state was
   * imported.
   */
  readonly reopen: () => Promise<Validator>;
  /** A snapshot is made at each multiple of this height. Default 1,000. */
  readonly everyBlocks?: number;
  /** Called with errors of snapshots that could not be made. Default: prints them. */
  readonly onError?: (error: unknown) => void;
}

const EVERY_BLOCKS = 1000;

/**
 * An application for `serveAbci` that runs blocks on a runtime, with a root and a chain of the author's, or
 * on an App that authenticates. The metadata of a runtime's blocks is what runtime/validator/message.ts
 * draws.
 *
 * @throws UsageError BAD_OPTION if there are blocks that no validator made, or the App trusts callers
 * @example
 * ```ts
 * const app = await App.open({ contract: "bank.ts", store: "state", authenticate: signed() });
 * const server = await serveAbci(validator(app), { checksAtOnce: 16 });
 * ```
 */
export function validator<Typed extends object = Contracts>(
  app: App<Typed>,
  chain?: AppChain<Typed>,
  sync?: SyncOptions,
): Validator;
export function validator(runtime: Runtime, chain: ValidatorChain, sync?: SyncOptions): Validator;
export function validator(
  over: Runtime | App<object>,
  chain: ValidatorChain | AppChain<never> = {},
  sync?: SyncOptions,
): Validator {
  const machine =
    over instanceof App
      ? new AppMachine(over, chain as unknown as AppChain<Contracts>)
      : new PlainMachine(over, chain as ValidatorChain);
  return new Validator(machine, sync ?? null);
}

/** What `validator` makes. Its methods are for `serveAbci`, but for `close`. */
export class Validator implements AbciApplication {
  #machine: Machine;
  #proposals: Proposals;
  #heights: Heights;
  readonly #sync: SyncOptions | null;
  readonly #everyBlocks: number;
  /** Null: this node makes none. */
  readonly #snapshots: Promise<Snapshots> | null;
  #restore: Restore | null = null;
  /** The block that FinalizeBlock has executed, for Commit. */
  #decided: { readonly candidate: Candidate; readonly height: bigint } | null = null;

  /** @internal */
  constructor(machine: Machine, sync: SyncOptions | null) {
    this.#sync = sync;
    this.#everyBlocks = integer<Partial<SyncOptions>>(sync ?? {}, "everyBlocks", EVERY_BLOCKS, 1, 2 ** 31);
    this.#snapshots = sync === null ? null : Snapshots.open(sync.store);
    this.#machine = machine;
    this.#proposals = new Proposals(machine.runtime);
    this.#heights = new Heights(machine);
  }

  /** That of the App, or the one that was given; after state sync, the one that was opened then. */
  get runtime(): Runtime {
    return this.#machine.runtime;
  }

  info(): Awaited<Answer<"ResponseInfoSchema">> {
    return { lastBlockHeight: this.#heights.last, lastBlockAppHash: appHash(this.runtime.head) };
  }

  async initChain(request: RequestInitChain): Promise<Awaited<Answer<"ResponseInitChainSchema">>> {
    const input = this.#machine.genesis(request);
    if (this.#heights.place === null) {
      const candidate = await this.#proposals.execute(input);
      this.#machine.checkGenesis(candidate);
      await this.#commit(candidate);
    }
    const { last } = this.#heights;
    if (last !== 0n || Buffer.compare(this.runtime.input().metadata, input.metadata) !== 0) {
      const text =
        `CometBFT starts a chain, and the runtime's store has one at height ${last}: ` +
        "restore the data of CometBFT, or give the runtime an empty store, which CometBFT fills by replaying";
      throw new UsageError("OTHER_CHAIN", text, { height: last });
    }
    const { head } = this.runtime;
    const { validatorUpdates: validators, consensusParamUpdates: consensusParams } = this.#machine.results(
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
      return await this.#machine.check(request, asking);
    } catch (error) {
      return refused(error);
    }
  }

  async query(request: RequestQuery, asking: Asking): Promise<Awaited<Answer<"ResponseQuerySchema">>> {
    try {
      const block = this.#heights.block(request.height);
      const height = request.height === 0n ? this.#heights.last : request.height;
      const answered =
        (await ownQuery(this.runtime, request, block)) ?? (await this.#machine.query(request, block, asking));
      if (answered !== undefined) return { height, ...answered };
      throw badArgument("path", request.path, "that of a query: see docs/validators.md");
    } catch (error) {
      return refused(error);
    }
  }

  // ---- consensus ------------------------------------------------------------------------------------------

  async prepareProposal(request: RequestPrepareProposal): Promise<{ txs: Uint8Array[] }> {
    const context = { ...request, lastCommit: request.localLastCommit };
    const ordered = await this.#machine.order(request.txs).catch(() => request.txs);
    let txs = fitting(ordered, request.maxTxBytes);
    while (txs.length > 0) {
      try {
        const candidate = await this.#execute({ ...context, txs });
        const proper = this.#machine.proper(candidate, txs);
        if (proper.length === txs.length) break;
        txs = proper.slice();
      } catch (error) {
        if ((error as UsageError).code === "UPGRADE_MISSING") throw error;
        // It faults, or this host lacks room: fewer transactions may fit.
        txs = txs.slice(0, Math.floor(txs.length / 2));
      }
    }
    return { txs };
  }

  async processProposal(request: RequestProcessProposal): Promise<{ status: Vote }> {
    try {
      const candidate = await this.#execute({ ...request, lastCommit: request.proposedLastCommit });
      const proper = this.#machine.proper(candidate, request.txs);
      return { status: proper.length === request.txs.length ? Vote.ACCEPT : Vote.REJECT };
    } catch (error) {
      if (error instanceof StillpointError && error.deterministic) return { status: Vote.REJECT };
      throw error;
    }
  }

  async finalizeBlock(
    request: RequestFinalizeBlock,
  ): Promise<Awaited<Answer<"ResponseFinalizeBlockSchema">>> {
    const candidate = await this.#execute({ ...request, lastCommit: request.decidedLastCommit });
    const results = this.#machine.results(candidate, request.txs);
    const count = results.txResults?.length ?? 0;
    assert(count === request.txs.length, `${count} results of ${request.txs.length} transactions`);
    this.#decided = { candidate, height: request.height };
    return { ...results, appHash: appHash(candidate) };
  }

  async commit(): Promise<Awaited<Answer<"ResponseCommitSchema">>> {
    if (this.#decided === null)
      throw new UsageError("STATE", "Commit came before FinalizeBlock: there is no block to commit");
    await this.#commit(this.#decided.candidate);
    this.#decided = null;
    const snapshots = (await this.#snapshots) ?? null;
    if (snapshots !== null) this.#snapshot(snapshots);
    // A node that starts from a snapshot asks for the headers at its height.
    const oldest = snapshots?.list[0]?.height ?? this.#heights.last;
    const retained = this.#heights.oldest();
    return { retainHeight: oldest < retained ? oldest : retained };
  }

  async #commit(candidate: Candidate): Promise<void> {
    await this.#proposals.commit(candidate);
    this.#heights.renew();
    await this.#machine.renew();
  }

  async #execute(context: BlockContext): Promise<Candidate> {
    const { height } = context;
    const next = this.#heights.place?.nextHeight;
    if (height !== next) {
      const text = `a block of height ${height} cannot follow: the next is ${next ?? "made by InitChain"}`;
      throw new UsageError("STATE", text, { height });
    }
    return this.#withRoom(this.#machine.block(context));
  }

  /** Executes a block; if the heap is full, once more without what checks and other proposals hold. */
  async #withRoom(input: BlockInput): Promise<Candidate> {
    try {
      return await this.#proposals.execute(input);
    } catch (error) {
      if (!(error instanceof LimitError) || error.code !== "HEAP_FULL") throw error;
      await this.#machine.renew();
      this.#proposals.clear();
      return this.#proposals.execute(input);
    }
  }

  // ---- state sync -----------------------------------------------------------------------------------------

  #snapshot(snapshots: Snapshots): void {
    const { last } = this.#heights;
    const { onError = (error: unknown) => console.error(error) } = this.#sync as SyncOptions;
    if (last % BigInt(this.#everyBlocks) !== 0n) return;
    snapshots.start(this.runtime, this.runtime.head, last, onError);
  }

  async listSnapshots(): Promise<Awaited<Answer<"ResponseListSnapshotsSchema">>> {
    return { snapshots: [...((await this.#snapshots)?.list ?? [])] };
  }

  async loadSnapshotChunk({ height, format, chunk }: RequestLoadSnapshotChunk) {
    const bytes = (await this.#snapshots)?.chunk(height, format, chunk);
    return { chunk: (await bytes?.catch(() => undefined)) ?? new Uint8Array() };
  }

  async offerSnapshot(request: RequestOfferSnapshot): Promise<{ result: Offered }> {
    if (this.#sync === null || this.#heights.last !== 0n) return { result: Offered.ABORT };
    await this.#restore?.close();
    this.#restore = null;
    const begun = await Restore.begin(request, this.#sync.store).catch(() => Offered.ABORT);
    if (!(begun instanceof Restore)) return { result: begun };
    this.#restore = begun;
    return { result: Offered.ACCEPT };
  }

  async applySnapshotChunk(
    request: RequestApplySnapshotChunk,
  ): Promise<Awaited<Answer<"ResponseApplySnapshotChunkSchema">>> {
    const restore = this.#restore;
    if (restore === null) return { result: Applied.ABORT };
    try {
      const { isComplete = false, ...taken } = await restore.take(request);
      if (!isComplete) return taken;
      this.#restore = null;
      await this.#adopt(restore);
      return { result: this.#heights.last === restore.height ? Applied.ACCEPT : Applied.ABORT };
    } catch (error) {
      this.#sync?.onError?.(error);
      return { result: Applied.ABORT };
    }
  }

  /** Continues with what was imported. */
  async #adopt(restore: Restore): Promise<void> {
    const { store, reopen } = this.#sync as SyncOptions;
    this.#proposals.clear();
    await this.#machine.close();
    await restore.moveTo(store);
    const opened = await reopen();
    this.#machine = opened.#machine;
    this.#proposals = opened.#proposals;
    this.#heights = opened.#heights;
  }

  /** Closes the App or the runtime; close the server before. */
  async close(): Promise<void> {
    await this.#restore?.close();
    await (await this.#snapshots)?.idle();
    this.#proposals.clear();
    await this.#machine.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
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
