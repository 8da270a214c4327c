/**
 * What is known of a guest with contracts when its sources are analysed. These are the types that others see:
 * nothing of the compiler's own is in them.
 */

import type { Interface, Region } from "./interface.ts";

/** A collection in the lock file. */
export interface Locked {
  readonly kind: string;
  /** Its types with the names of fields: what lies there is read by them. */
  readonly types: readonly string[];
  readonly capacity: number;
  readonly at: number;
  readonly bytes: number;
}

export interface Lock {
  readonly version: number;
  readonly state: Readonly<Record<string, Locked>>;
  /** New collections lie at this address or above. */
  readonly end?: number;
}

/** Where the state of a program lies. */
export interface GuestLayout {
  readonly regions: readonly Region[];
  readonly stateBytes: number;
  /** What the lock file is to hold from now on. */
  readonly lock: Lock;
  /** Collections of the lock file that the program no longer has. */
  readonly gone: readonly string[];
}

export interface TypedGuest {
  /** The entry that is compiled instead of the author's. */
  readonly entry: string;
  /** Flags for asc besides the usual ones. */
  readonly flags: readonly string[];
  /** Texts that stand for those of files. */
  readonly texts: ReadonlyMap<string, string>;
  readonly description: Interface;
  readonly layout: GuestLayout;
  /** Doc comments of functions, by contract and name, for the client. */
  readonly docs: ReadonlyMap<string, string>;
  /** Whether it calls `debug`. */
  readonly hasPrints: boolean;
}
