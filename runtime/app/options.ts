/** What the operations of an App take and give. */

import type { Block, Candidate, ForkOptions, ProduceOptions, RulesChange, RuntimeOptions } from "../index.ts";
import type { AddressLike, Outcome } from "../typed/client.ts";
import type { Authentication } from "./authentication.ts";
import type { Waiting } from "./pool.ts";
import type { Signer } from "./signer.ts";

/** Time from one block to the next where no clock is used, in milliseconds. */
export const BLOCK_MS = 1000;

/**
 * Options of `App.open`: those of `Runtime.open` except root, programs and entry, and these. `gasLimit` is
 * 10^10 by default, since contracts are your own and not a stranger's, and `heldGasQuota` is 0.
 */
export interface AppOptions extends Omit<RuntimeOptions, "root" | "programs" | "entry"> {
  /**
   * The file with the contracts, AssemblyScript: compiled with the layout beside it, `app.layout.json` for
   * `app.ts`, or as a first build if there is none. Alternative to `program`.
   */
  readonly contract?: string;
  /** The program that `stillpoint build` made, instead of its source. Default: the program of the store. */
  readonly program?: Uint8Array;
  /**
   * Arguments of the setups of contracts, by contract, for a new chain. Ignored if the store has the chain
   * already.
   */
  readonly setup?: Readonly<Record<string, object>>;
  /**
   * How senders are verified (consensus): `signed()`, or one of your own. Default: callers are trusted.
   */
  readonly authenticate?: Authentication;
  /**
   * Selects and orders the waiting transactions for the next block. Those that it leaves out stay in the
   * pool. Default: all, as they were submitted.
   */
  readonly order?: (waiting: readonly Waiting[]) => readonly Waiting[];
  /** Gas of a transaction without a limit of its own. Default 10,000,000. */
  readonly gas?: number;
}

/** The sender of a call, and its limits. */
export interface SubmitOptions {
  /** The caller, where an App trusts callers. */
  readonly from?: AddressLike;
  /** The signer of the transaction, where an App authenticates. */
  readonly by?: Signer;
  /** Maximum gas. Default: the option `gas` of the app. */
  readonly gas?: number;
  /** Nonce of a signed transaction: any that its sender has not used. Default: the next. */
  readonly nonce?: bigint;
  /** Height of the last block that may have a signed transaction. Default: 256 above the latest. */
  readonly lastHeight?: number;
}

/** The block and the sender of a query, and its limit. */
export interface QueryOptions {
  /** The address that `caller()` returns. Default: twenty zero bytes. */
  readonly from?: AddressLike;
  /**
   * The block whose state it uses: of this chain by height, or any retained one or candidate. Default: the
   * latest.
   */
  readonly on?: number | Block;
  /** Gas that it may use. Default: that of `Runtime.call`. */
  readonly gas?: number;
}

/** Options of a block: those of `Runtime.produce` but for rules, and its time. */
export interface BlockOptions extends Omit<ProduceOptions, "rules"> {
  /** Milliseconds since 1970, not less than the time of the block before. Default: now. */
  readonly time?: number;
}

/** Options of `execute`. */
export interface ProposeOptions extends BlockOptions {
  /** The parent of the block: as in `Runtime.execute`. */
  readonly on?: number | Block;
  /** The message of a block that another replica made, to run instead of the waiting transactions. */
  readonly message?: Uint8Array;
  /** Whether that may be the message of an upgrade. Default false. */
  readonly allowUpgrade?: boolean;
  /** The upgrade, in a block without transactions. */
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
   * The file with the contracts. It is compiled with the lock file beside it, which is updated as by
   * `stillpoint build`; if there is none, the state stays where the app has it. Alternative to `program`.
   */
  readonly contract?: string;
  /** The program that `stillpoint build` made with the lock file of the app's current program. */
  readonly program?: Uint8Array;
  /** Maximum gas of migrations. Default: the block's. */
  readonly gas?: number;
  /** Other changes of rules: gasLimit, quotas, prices. */
  readonly rules?: Omit<RulesChange, "programs" | "replace">;
}

/** A block of an app. */
export interface Produced {
  readonly block: Block;
  /** Outcomes of its transactions, in their order; those that did not run are left out. */
  readonly outcomes: readonly Outcome[];
  /** The message from which another replica makes the same block, with `apply`. */
  readonly message: Uint8Array;
}

/** A block that `execute` has made: it is not part of the chain until it is committed. */
export interface Proposal extends Produced {
  readonly block: Candidate;
}

/** The block to which `reorg` reverts, and the blocks that follow: proposals, and messages of blocks. */
export interface AppReorgOptions {
  readonly to: number | Block;
  readonly blocks: readonly (Proposal | Uint8Array)[];
  /** Whether there may be messages of upgrades among them. Default false. */
  readonly allowUpgrade?: boolean;
}

/** What `reorg` changed. */
export interface AppReorg {
  /** Blocks that are no longer part of the chain, newest first. */
  readonly removed: readonly Block[];
  /** Blocks that replace them, oldest first. */
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
      /** This block is the latest of the chain again: events of blocks above it no longer hold. */
      readonly kind: "revert";
      readonly height: number;
      /** Its id. */
      readonly block: string;
    }
  | {
      /** This many events, which may include blocks, were dropped since they were not read in time. */
      readonly kind: "lost";
      readonly count: number;
    };

export type { ForkOptions };
