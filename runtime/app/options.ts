/** What the operations of an App take and give. */

import type { Block, Candidate, ForkOptions, ProduceOptions, RulesChange, RuntimeOptions } from "../index.ts";
import type { AddressLike, Outcome } from "../typed/client.ts";
import type { Authentication } from "./authentication.ts";
import type { Waiting } from "./pool.ts";
import type { Signer } from "./signer.ts";

/** Gas of a transaction that names none. */
export const TRANSACTION_GAS = 10_000_000;
/** From one block to the next, where blocks have times without a clock, in milliseconds. */
export const BLOCK_MS = 1000;

/**
 * Options of `App.open`: those of `Runtime.open` but for root and programs, and these. By default `gasLimit`
 * is 10^10, for contracts are your own and not a stranger's, and `heldGasQuota` is 0.
 */
export interface AppOptions extends Omit<RuntimeOptions, "root" | "programs" | "entry"> {
  /**
   * The file with the contracts, AssemblyScript: compiled under the layout beside it, `app.layout.json` for
   * `app.ts`, or as a first build if there is none. Or `program`.
   */
  readonly contract?: string;
  /** The program that `stillpoint build` made, instead of its source. Without both, that of the store. */
  readonly program?: Uint8Array;
  /**
   * Arguments of the setups of contracts, by contract: what a new chain starts with. Not looked at where a
   * store has the chain already.
   */
  readonly setup?: Readonly<Record<string, object>>;
  /**
   * How senders are verified (consensus): `signed()`, or one of your own. Default: callers are trusted.
   */
  readonly authenticate?: Authentication;
  /**
   * Which of the waiting transactions go into the next block, and in which order. Those that it leaves out
   * wait on. Default: all, as they were submitted.
   */
  readonly order?: (waiting: readonly Waiting[]) => readonly Waiting[];
  /** Gas of a transaction that does not say. Default 10,000,000. */
  readonly gas?: number;
}

/** The sender of a call, and its limits. */
export interface SubmitOptions {
  /** The caller, where an App trusts callers. */
  readonly from?: AddressLike;
  /** Who signs the transaction, where an App authenticates. */
  readonly by?: Signer;
  /** Gas that it may use. Default: the option `gas` of the app. */
  readonly gas?: number;
  /** Of a signed transaction: any that its sender has not used. Default: the next. */
  readonly nonce?: bigint;
  /** Of a signed transaction: the last block that may have it. Default: 256 above the latest. */
  readonly lastHeight?: number;
}

/** Where a call looks, and who it is. */
export interface QueryOptions {
  /** What `caller()` gives. Default: twenty zero bytes. */
  readonly from?: AddressLike;
  /**
   * The block that it looks at, of this chain by height, or any retained one or candidate. Default: the
   * latest.
   */
  readonly on?: number | Block;
  /** Gas that it may use. Default: that of `Runtime.call`. */
  readonly gas?: number;
}

/** Options of a block: those of `Runtime.produce` but for rules, and its time. */
export interface BlockOptions extends Omit<ProduceOptions, "rules"> {
  /** Milliseconds since 1970, not less than the block before says. Default: now. */
  readonly time?: number;
}

/** Options of `execute`. */
export interface ProposeOptions extends BlockOptions {
  /** What the block stands on: as in `Runtime.execute`. */
  readonly on?: number | Block;
  /** The message of a block that another replica made, to run that instead of what waits. */
  readonly message?: Uint8Array;
  /** Whether that may be the message of an upgrade. Default false. */
  readonly allowUpgrade?: boolean;
  /** What to upgrade to, in a block without transactions. */
  readonly upgrade?: Upgrade;
}

/** Options of `apply`. */
export interface ApplyOptions extends Omit<ProduceOptions, "rules"> {
  /** Whether the message may be one of an upgrade. Default false. */
  readonly allowUpgrade?: boolean;
}

/** What an app is upgraded to: a program, other rules, or both. */
export interface Upgrade {
  /**
   * The file with the contracts. It is compiled under the lock file beside it, which is written, as
   * `stillpoint build` does; where there is none, the state stays where the app has it. Or `program`.
   */
  readonly contract?: string;
  /** The program that `stillpoint build` made, under the lock file of the one that the app has. */
  readonly program?: Uint8Array;
  /** Gas that migrations may use. Default: all of the block's. */
  readonly gas?: number;
  /** Changes of rules besides: gasLimit, quotas, prices. */
  readonly rules?: Omit<RulesChange, "programs" | "replace">;
}

/** A block of an app. */
export interface Produced {
  readonly block: Block;
  /** What became of its transactions, in their order; those that did not run are left out. */
  readonly outcomes: readonly Outcome[];
  /** What another replica makes the same block of, with `apply`. */
  readonly message: Uint8Array;
}

/** A block that `execute` has made: it is not of the chain until it is committed. */
export interface Proposal extends Produced {
  readonly block: Candidate;
}

/** Where `reorg` goes, and what it makes there: proposals, and messages of blocks. */
export interface AppReorgOptions {
  readonly to: number | Block;
  readonly blocks: readonly (Proposal | Uint8Array)[];
  /** Whether there may be messages of upgrades among them. Default false. */
  readonly allowUpgrade?: boolean;
}

/** What `reorg` changed. */
export interface AppReorg {
  /** Blocks of the chain that are not on it any more, newest first. */
  readonly removed: readonly Block[];
  /** Blocks that came instead, oldest first. */
  readonly added: readonly Produced[];
}

/** What happened to an app. */
export type AppEvent =
  | {
      /** A transaction has emitted an event, in a block of the chain. */
      readonly kind: "event";
      readonly block: Block;
      /** The transaction, by its place in the block. */
      readonly transaction: number;
      /** The event's record, and its fields. */
      readonly name: string;
      readonly fields: Readonly<Record<string, unknown>>;
    }
  | {
      /** The chain ends with this block now: events of blocks above it are of no chain. */
      readonly kind: "revert";
      readonly height: number;
      /** Its id. */
      readonly block: string;
    }
  | {
      /** Nobody took so many things that happened in time, blocks among them perhaps; the next is newer. */
      readonly kind: "lost";
      readonly count: number;
    };

export type { ForkOptions };
