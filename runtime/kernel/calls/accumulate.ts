/**
 * ACCUMULATE as a plain read-modify-write: what it means everywhere. Integers are words, the lowest first;
 * the result is computed in 32 bytes, whatever the width.
 */

import { type AccumulateRequest, INTEGER_WORDS } from "../requests/request.ts";
import type { Slot } from "../slots/slot.ts";

const result = new Uint32Array(INTEGER_WORDS);

/** Adds in the slot's memory; 1, or 0 and nothing has changed. */
export function accumulate(slot: Pick<Slot, "words" | "mark">, request: AccumulateRequest): 0 | 1 {
  const { words } = slot;
  const at = request.address / 4;
  const count = request.width / 4;
  // To subtract is to add the complement and one; then a carry says that nothing was borrowed.
  const flip = request.subtract ? -1 : 0;
  let carry = -flip;
  for (let i = 0; i < INTEGER_WORDS; i++) {
    const value = i < count ? (words[at + i] as number) | 0 : 0;
    const delta = (request.delta[i] as number) ^ flip;
    const sum = (value + delta + carry) | 0;
    carry = ((value & delta) | ((value | delta) & ~sum)) >>> 31;
    result[i] = sum;
  }
  if (carry !== -flip) return 0;
  for (let i = count; i < INTEGER_WORDS; i++) if (result[i] !== 0) return 0;
  if (request.bounded && (isLess(result, request.minimum) || isLess(request.maximum, result))) return 0;
  slot.mark(request.address, request.width);
  for (let i = 0; i < count; i++) words[at + i] = result[i] as number;
  return 1;
}

function isLess(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = INTEGER_WORDS - 1; i >= 0; i--) if (a[i] !== b[i]) return (a[i] as number) < (b[i] as number);
  return false;
}
