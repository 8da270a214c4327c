/**
 * The journal: what bytes were before they were changed, so that a frame that reverts can put them back. It
 * knows nothing of what they mean.
 *
 * A record: u32 address, u32 length (8 or 32), the bytes.
 */

import { JOURNAL_BYTES, journalArena } from "./arena.ts";

const RECORD: usize = 40;

let top: usize = 0;

export function beginJournal(): void {
  top = journalArena;
}

/** A point to go back to. */
export function journalMark(): usize {
  return top;
}

function next(): usize {
  const at = top;
  top = at + RECORD;
  if (top > journalArena + JOURNAL_BYTES)
    throw new Error("evm: the transaction changes more than its journal holds");
  return at;
}

/** Notes the 32 bytes at `address`, which are about to change. */
export function saveWord(address: usize): void {
  const at = next();
  store<u32>(at, <u32>address);
  store<u32>(at, 32, 4);
  v128.store(at + 8, v128.load(address));
  v128.store(at + 24, v128.load(address, 16));
}

/** Notes the 8 bytes at `address`. */
export function saveU64(address: usize): void {
  const at = next();
  store<u32>(at, <u32>address);
  store<u32>(at, 8, 4);
  store<u64>(at, load<u64>(address), 8);
}

/** Puts everything back to what it was at `mark`. */
export function revertTo(mark: usize): void {
  while (top > mark) {
    top -= RECORD;
    const address = <usize>load<u32>(top);
    if (load<u32>(top, 4) == 8) store<u64>(address, load<u64>(top, 8));
    else {
      v128.store(address, v128.load(top, 8));
      v128.store(address + 16, v128.load(top, 24));
    }
  }
}
