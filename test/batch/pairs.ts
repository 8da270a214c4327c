/**
 * Batches for the guest batch/pair, whose items never end if they see two counters at different moments: each
 * may run for seconds, and 250 of them for minutes.
 */

import { programHash } from "../../runtime/index.ts";
import { ENDLESS_GAS, guest } from "../fixture.ts";
import type { BatchInput } from "./batches.ts";

export const PAIR = await guest("batch/pair");
/** In pages of 64 KiB: for children of items, and theirs. */
export const PAIR_PAGES = 200;
const INBOX = 1 << 16;
const LONG = ENDLESS_GAS / 4;

/**
 * Items of which each looks at both counters, with so many turns of work in between. `children`: what it has
 * started loops, if they differ, not the item.
 */
export function pairs(count: number, turns: number, children = false): BatchInput {
  const input = new Uint8Array(children ? 36 : 4);
  new DataView(input.buffer).setUint32(0, turns, true);
  if (children) input.set(programHash(PAIR), 4);
  const items = Array.from({ length: count }, () => ({ input, gas: LONG }));
  return { entry: "step", items, inbox: INBOX, gas: 2 * LONG };
}
