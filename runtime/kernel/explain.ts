/**
 * Why a limit ended an activation or an item: one sentence, and its numbers. For traces, tests and views,
 * where somebody observes faults (exit.ts); nothing of it is in a block.
 */

import type { Facts } from "../errors.ts";
import { PAGE_BYTES, WASM_PAGE_BYTES } from "../limits.ts";

/** A sentence for people, and the numbers in it. */
export interface Reason {
  readonly text: string;
  readonly facts: Facts;
}

export const NO_REASON: Reason = { text: "", facts: {} };

/** It ran until its gas was used. */
export function outOfGas(gasLimit: number): Reason {
  return { text: `all of its ${gasLimit} gas was used`, facts: { gasLimit } };
}

/** It came to its end, and what it leaves costs `cost`, or more, which is more than the gas left. */
export function cannotPay(cost: number, gasLeft: number): Reason {
  const text = `it ended with ${gasLeft} gas left, and what it leaves costs at least ${cost}`;
  return { text, facts: { gasLeft, cost } };
}

/** It accessed an address beyond its memory, of so many pages of 64 KiB. */
export function beyondMemory(memoryPages: number): Reason {
  const memoryBytes = memoryPages * WASM_PAGE_BYTES;
  return { text: `an access beyond its memory of ${memoryBytes} bytes`, facts: { memoryBytes } };
}

/** An item's output is longer than its outbox. */
export function beyondOutbox(outputBytes: number, limitBytes: number): Reason {
  const text = `an output of ${outputBytes} bytes, and the outbox has room for ${limitBytes}`;
  return { text, facts: { outputBytes, limitBytes } };
}

/** An item's output does not fit into what is left for outcomes. */
export function beyondRoom(outputBytes: number, limitBytes: number): Reason {
  const text = `an output of ${outputBytes} bytes, and memory quota and batch have room for ${limitBytes}`;
  return { text, facts: { outputBytes, limitBytes } };
}

/** The memory could not grow from `memoryPages` by `morePages`, beyond `limitPages`, of 64 KiB each. */
export function outOfMemory(memoryPages: number, morePages: number, limitPages: number, of: string): Reason {
  const text =
    `out of memory: it has ${memoryPages} pages of 64 KiB and asked for ${morePages} more, ` +
    `and the limit ${of} is ${limitPages}`;
  return { text, facts: { memoryPages, morePages, limitPages } };
}

/** With its saved stack it takes more pages of 4 KiB than its memory quota has. */
export function beyondQuota(stackBytes: number, neededPages: number, limitPages: number): Reason {
  const text =
    `with its saved stack of ${stackBytes} bytes it takes ${neededPages} pages of ${PAGE_BYTES} bytes, ` +
    `and its memory quota has ${limitPages}`;
  return { text, facts: { stackBytes, neededPages, limitPages } };
}

/** Children that it leaves running have more gas than its held-gas quota has left. */
export function beyondHeldGas(gasLent: number, limit: number): Reason {
  const text = `its running children have ${gasLent} gas, and its held-gas quota has ${limit} left`;
  return { text, facts: { gasLent, limit } };
}

/** The tree is as deep as it may be. */
export function tooDeep(limit: number): Reason {
  return { text: `the tree of processes is ${limit} deep, the most that it may be`, facts: { limit } };
}

/** A child that is made would have a smaller memory quota than a fresh process of its program takes. */
export function belowFresh(wantedPages: number, freshPages: number): Reason {
  const text =
    `a memory quota of ${wantedPages} pages of ${PAGE_BYTES} bytes is less than ` +
    `the ${freshPages} that the fresh process takes`;
  return { text, facts: { wantedPages, freshPages } };
}

/** A child that is made would have more of a quota than its parent has left. */
export function beyondParent(
  quota: "memoryQuotaPages" | "processQuota" | "heldGasQuota",
  wanted: number,
  left: number,
): Reason {
  return {
    text: `it takes ${wanted} of "${quota}", and its parent has ${left} left`,
    facts: { wanted, left },
  };
}

/** A batch whose inputs and outcomes do not fit into the child's memory quota. */
export function beyondBatch(neededPages: number, limitPages: number): Reason {
  const text =
    `with inputs and outcomes it takes ${neededPages} pages of ${PAGE_BYTES} bytes, ` +
    `and its memory quota has ${limitPages}`;
  return { text, facts: { neededPages, limitPages } };
}
