/**
 * What the root gets of a block of CometBFT: the block's metadata, which is all that its execution depends
 * on. Integers are little-endian; each part starts at a multiple of eight.
 *
 *   genesis := u32 0 · u32 validators · i64 initial height · i64 time
 *              · u32 length of the chain's name · u32 length of the state
 *              · validators · name, padded · state, padded
 *   validator := i64 power · u32 kind of key · u32 length of key · key, padded
 *
 *   block := u32 1 · u32 transactions · i64 height · i64 time
 *            · [20] proposer · i32 round of the last commit · u32 votes · u32 misbehaviours
 *            · votes · misbehaviours · transactions
 *   vote := [20] validator · u32 flag · i64 power
 *   misbehaviour := [20] validator · u32 type · i64 power · i64 height · i64 time · i64 power of all
 *   transaction := u32 length · u32 0 · bytes, padded
 *
 * Times are nanoseconds since 1970; kinds of keys, flags and types are CometBFT's numbers.
 */

import type {
  CommitInfo,
  ExtendedCommitInfo,
  Misbehavior,
  RequestFinalizeBlock,
  RequestInitChain,
} from "../abci/index.ts";
import { badArgument, badOption } from "../arguments.ts";

type Time = RequestInitChain["time"];

/** What the metadata of a block is made from: fields that FinalizeBlock and both proposal requests have. */
export interface BlockContext
  extends Pick<RequestFinalizeBlock, "txs" | "height" | "time" | "proposerAddress"> {
  readonly lastCommit: CommitInfo | ExtendedCommitInfo | undefined;
  readonly misbehavior: readonly Misbehavior[];
}

const GENESIS = 0;
const BLOCK = 1;
/** Where both have the height; in a genesis it is that of the first block. */
const HEIGHT_AT = 8;
const HEAD_BYTES = 24;
const ADDRESS_BYTES = 20;
const KEY_KINDS: Readonly<Record<string, number>> = {
  ed25519: 1,
  secp256k1: 2,
  bls12381: 3,
  mldsa65: 4,
  secp256k1eth: 5,
};

/** The metadata of the block that InitChain makes. */
export function genesisMessage(request: RequestInitChain): Uint8Array {
  const name = Buffer.from(request.chainId);
  const out = new Writer();
  out.u32(GENESIS).u32(request.validators.length).i64(request.initialHeight).i64(nanoseconds(request.time));
  out.u32(name.length).u32(request.appStateBytes.length);
  for (const { power, pubKey } of request.validators) {
    const { case: kind = "none", value: key = new Uint8Array() } = pubKey?.sum ?? {};
    const number = KEY_KINDS[kind];
    if (number === undefined)
      throw badArgument("the key of a validator", kind, `one of ${Object.keys(KEY_KINDS).join(", ")}`);
    out.i64(power).u32(number).u32(key.length).padded(key);
  }
  return out.padded(name).padded(request.appStateBytes).bytes();
}

/** The metadata of a block. */
export function blockMessage(context: BlockContext): Uint8Array {
  const { txs, height, time, proposerAddress, lastCommit, misbehavior } = context;
  const votes = lastCommit?.votes ?? [];
  const out = new Writer();
  out.u32(BLOCK).u32(txs.length).i64(height).i64(nanoseconds(time));
  out.address(proposerAddress).u32((lastCommit?.round ?? 0) >>> 0);
  out.u32(votes.length).u32(misbehavior.length);
  for (const { validator, blockIdFlag } of votes) {
    out
      .address(validator?.address)
      .u32(blockIdFlag)
      .i64(validator?.power ?? 0n);
  }
  for (const { type, validator, height: at, time: when, totalVotingPower } of misbehavior) {
    out
      .address(validator?.address)
      .u32(type)
      .i64(validator?.power ?? 0n);
    out.i64(at).i64(nanoseconds(when)).i64(totalVotingPower);
  }
  for (const tx of txs) out.u32(tx.length).u32(0).padded(tx);
  return out.bytes();
}

/** The place of a block in CometBFT's chain, from its metadata. */
export interface Place {
  /** CometBFT's height of the block; 0 of a genesis. */
  readonly height: bigint;
  /** CometBFT's height of the next block. */
  readonly nextHeight: bigint;
}

/**
 * The place of a block by its metadata.
 *
 * @throws UsageError BAD_OPTION if it is the metadata of something else
 */
export function placeOf(metadata: Uint8Array): Place {
  const bytes = Buffer.from(metadata.buffer, metadata.byteOffset, metadata.length);
  const kind = bytes.length < HEAD_BYTES ? null : bytes.readUInt32LE(0);
  if (kind !== GENESIS && kind !== BLOCK)
    throw badOption("runtime", metadata, "a runtime whose blocks are all made by its validator");
  const height = bytes.readBigInt64LE(HEIGHT_AT);
  // CometBFT omits an initial height of 0, which means 1.
  if (kind === GENESIS) return { height: 0n, nextHeight: height === 0n ? 1n : height };
  return { height, nextHeight: height + 1n };
}

function nanoseconds(time: Time): bigint {
  return (time?.seconds ?? 0n) * 1_000_000_000n + BigInt(time?.nanos ?? 0);
}

/** Appends values to a buffer. */
class Writer {
  #buffer = Buffer.alloc(256);
  #length = 0;

  u32(value: number): this {
    this.#buffer.writeUInt32LE(value, this.#take(4));
    return this;
  }

  i64(value: bigint): this {
    this.#buffer.writeBigInt64LE(value, this.#take(8));
    return this;
  }

  /** Zeros if it is undefined. */
  address(value: Uint8Array | undefined): this {
    if (value !== undefined && value.length !== 0 && value.length !== ADDRESS_BYTES)
      throw badArgument("an address", value.length, `${ADDRESS_BYTES} bytes`);
    const at = this.#take(ADDRESS_BYTES);
    if (value !== undefined) this.#buffer.set(value, at);
    return this;
  }

  /** With zeros up to a multiple of eight. */
  padded(value: Uint8Array): this {
    const at = this.#take(Math.ceil(value.length / 8) * 8);
    this.#buffer.set(value, at);
    return this;
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.#buffer.subarray(0, this.#length));
  }

  #take(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(2 * this.#buffer.length, this.#length));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    return at;
  }
}
