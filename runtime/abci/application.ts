/**
 * What an application of CometBFT does, and how a request becomes an answer.
 *
 * A method that throws is answered with an Exception, at which CometBFT stops its node. That is right where
 * it would be wrong to continue, as in FinalizeBlock and Commit. It must not happen where a client can cause
 * it, in CheckTx and Query: these answer with a code.
 */

import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { LimitError, StillpointError, UsageError } from "../errors.ts";
import { frameOf } from "./frames.ts";
import * as messages from "./messages/tendermint/abci/types_pb.js";

/** What a method returns: the fields that are not zero or empty. Integers of 64 bits are BigInts. */
export type Answer<Name extends keyof typeof messages> = (typeof messages)[Name] extends infer Schema
  ? Schema extends Parameters<typeof create>[0]
    ? MessageInitShape<Schema> | Promise<MessageInitShape<Schema>>
    : never
  : never;

/** What a method gets besides its request. */
export interface Asking {
  /** Aborted when the connection is closed or the server no longer waits: nobody will read the answer. */
  readonly signal: AbortSignal;
}

/**
 * An application: a method for each request of ABCI 2.0. CometBFT's specification says what each must do.
 *
 * @example
 * ```ts
 * const application: AbciApplication = {
 *   info: () => ({ lastBlockHeight: BigInt(committed.height), lastBlockAppHash: committed.hash }),
 *   initChain: () => ({}),
 *   checkTx: ({ tx }) => ({ code: tx.length === 8 ? 0 : 1 }),
 *   // …
 * };
 * ```
 */
export interface AbciApplication {
  /** The last block that is committed: after a start CometBFT replays what comes after it. */
  info(request: messages.RequestInfo, asking: Asking): Answer<"ResponseInfoSchema">;
  /** A new chain, before its first block. Asked again if CometBFT stopped before that was committed. */
  initChain(request: messages.RequestInitChain, asking: Asking): Answer<"ResponseInitChainSchema">;
  /** Reads. Must not throw for what a client sends. */
  query(request: messages.RequestQuery, asking: Asking): Answer<"ResponseQuerySchema">;
  /** Whether a transaction may wait for a block: code 0. Must not throw for what a client sends. */
  checkTx(request: messages.RequestCheckTx, asking: Asking): Answer<"ResponseCheckTxSchema">;
  /** The transactions of a block that this node proposes: at most `maxTxBytes` together. */
  prepareProposal(
    request: messages.RequestPrepareProposal,
    asking: Asking,
  ): Answer<"ResponsePrepareProposalSchema">;
  /** Whether to vote for a block. Every replica must answer the same. */
  processProposal(
    request: messages.RequestProcessProposal,
    asking: Asking,
  ): Answer<"ResponseProcessProposalSchema">;
  /** Executes a block that is decided. Nothing is durable before `commit`. */
  finalizeBlock(
    request: messages.RequestFinalizeBlock,
    asking: Asking,
  ): Answer<"ResponseFinalizeBlockSchema">;
  /** Makes the block that was finalized durable. */
  commit(request: messages.RequestCommit, asking: Asking): Answer<"ResponseCommitSchema">;
  /** Adds data to this node's vote. Only asked where the consensus parameters enable vote extensions. */
  extendVote?(request: messages.RequestExtendVote, asking: Asking): Answer<"ResponseExtendVoteSchema">;
  /** Whether to accept the data of another's vote. */
  verifyVoteExtension?(
    request: messages.RequestVerifyVoteExtension,
    asking: Asking,
  ): Answer<"ResponseVerifyVoteExtensionSchema">;
  /** Snapshots that nodes of the network may fetch here. Default: none. */
  listSnapshots?(
    request: messages.RequestListSnapshots,
    asking: Asking,
  ): Answer<"ResponseListSnapshotsSchema">;
  /** A part of a snapshot that was listed. Default: none. */
  loadSnapshotChunk?(
    request: messages.RequestLoadSnapshotChunk,
    asking: Asking,
  ): Answer<"ResponseLoadSnapshotChunkSchema">;
  /** Whether to start from a snapshot of another node. Default: ABORT, no state sync. */
  offerSnapshot?(
    request: messages.RequestOfferSnapshot,
    asking: Asking,
  ): Answer<"ResponseOfferSnapshotSchema">;
  /** A part of the snapshot that was accepted. Default: ABORT. */
  applySnapshotChunk?(
    request: messages.RequestApplySnapshotChunk,
    asking: Asking,
  ): Answer<"ResponseApplySnapshotChunkSchema">;
  /** Takes a transaction, where the application keeps the mempool (0.40). */
  insertTx?(request: messages.RequestInsertTx, asking: Asking): Answer<"ResponseInsertTxSchema">;
  /** Gives transactions, where the application keeps the mempool (0.40). */
  reapTxs?(request: messages.RequestReapTxs, asking: Asking): Answer<"ResponseReapTxsSchema">;
}

type Value = NonNullable<MessageInitShape<typeof messages.ResponseSchema>["value"]>;
type Method = (request: unknown, asking: Asking) => unknown;

/** Of an application without state sync. */
const DEFAULTS: Readonly<Record<string, () => object>> = {
  listSnapshots: () => ({}),
  loadSnapshotChunk: () => ({}),
  offerSnapshot: () => ({ result: messages.ResponseOfferSnapshot_Result.ABORT }),
  applySnapshotChunk: () => ({ result: messages.ResponseApplySnapshotChunk_Result.ABORT }),
};

/** A request: its name and its message. It has no name if it is not in ABCI 2.0. */
export type Asked = messages.Request["value"];

/** Reads a request. One that cannot be read has no name either. */
export function readRequest(bytes: Uint8Array): Asked {
  try {
    return fromBinary(messages.RequestSchema, bytes).value;
  } catch {
    return { case: undefined };
  }
}

/**
 * Resolves to the answer to a request, as a frame: an Exception if the application throws or has no method
 * for it, and then `onError` is called. Never rejects.
 */
export async function answer(
  application: AbciApplication,
  asked: Asked,
  asking: Asking,
  messageBytes: number,
  onError: (error: unknown) => void,
): Promise<Uint8Array> {
  try {
    const value = { case: asked.case, value: await ask(application, asked, asking) } as Value;
    const message = toBinary(messages.ResponseSchema, create(messages.ResponseSchema, { value }));
    const { length } = message;
    if (length <= messageBytes) return frameOf(message);
    const text = `an answer has ${length} bytes, and the option "messageBytes" allows ${messageBytes}`;
    throw new LimitError("MESSAGE_TOO_LONG", text, { length, limit: messageBytes });
  } catch (error) {
    onError(error);
    return exception(error);
  }
}

async function ask(application: AbciApplication, asked: Asked, asking: Asking): Promise<unknown> {
  if (asked.case === "echo") return { message: asked.value.message };
  if (asked.case === "flush") return {};
  const name = asked.case;
  const method = name && ((application[name] ?? DEFAULTS[name]) as Method | undefined);
  if (method === undefined) {
    const what = name ?? "a message that is not in ABCI 2.0 or cannot be read";
    throw new UsageError("UNKNOWN_REQUEST", `this application cannot answer ${what}`, { name: name ?? null });
  }
  return method.call(application, asked.value, asking);
}

function exception(error: unknown): Uint8Array {
  const said = error instanceof StillpointError ? `${error.code}: ${error.message}` : String(error);
  const value = { case: "exception", value: { error: said } } as const;
  return frameOf(toBinary(messages.ResponseSchema, create(messages.ResponseSchema, { value })));
}
