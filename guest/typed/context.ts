/**
 * What a function of a contract knows of its call: who made it, and the block. The first line of state holds
 * the block, where the ready-made root writes it: u64 height · u64 time. The caller is part of the input.
 */

import { Item } from "../batch";
import { Address } from "../values";
import { Wire } from "./wire";

/** Bytes of an input before the arguments: u32 selector · [20] caller. */
export const ARGUMENTS: usize = 24;

/** Who made the transaction. */
export function caller(): Address {
  return changetype<Address>(Item.input + 4);
}

/** The block that this transaction is in; in a view, the latest. */
export class block {
  /** Number of the block, from 1 on. */
  static get height(): u64 {
    return load<u64>(0);
  }

  /** Milliseconds since 1970, as the producer of the block said; never less than that of the block before. */
  static get time(): u64 {
    return load<u64>(8);
  }
}

/**
 * Adds an event to the outcome of this transaction; a failed one has none. `record` is of a class marked
 * `@record`.
 */
export function emit<T>(record: T): void {
  // @ts-ignore: the compiler of guests adds it to the class
  record.__emit();
  Wire.endOfEvents();
}
