/**
 * The memory that a transaction works in: private, taken once outside of items, the same addresses ever
 * after. What an item writes here is put back when it ends, so every transaction begins with zeros.
 *
 * Sizes are what 30 million gas can pay for, and more; what does not fit ends the transaction with an abort
 * that names the arena, and so the block.
 */

/** Operand stacks of all frames, one above the other: 1,024 frames of up to 1,024 words. */
export const STACK_BYTES: usize = 32 << 20;
/** Memories of all frames, one above the other, with the jump tables of code that is created. */
export const MEMORY_BYTES: usize = 64 << 20;
/** What the last call returned. */
export const RETURN_BYTES: usize = 8 << 20;
/** Entries of the cache, the journal, and the logs. */
export const CACHE_BYTES: usize = 24 << 20;
export const JOURNAL_BYTES: usize = 24 << 20;
export const LOGS_BYTES: usize = 8 << 20;
export const FRAMES_BYTES: usize = 1 << 19;
/** A transaction as it arrives, and what becomes of it. */
export const INBOX_BYTES: usize = 1 << 18;
export const OUTBOX_BYTES: usize = 4 << 20;

export let stackArena: usize = 0;
export let memoryArena: usize = 0;
export let returnArena: usize = 0;
export let cacheArena: usize = 0;
export let journalArena: usize = 0;
export let logsArena: usize = 0;
export let framesArena: usize = 0;
export let inbox: usize = 0;
export let outbox: usize = 0;

/** Takes the arenas, once. The small ones lie side by side: what most transactions touch is few pages. */
export function takeArenas(): void {
  if (inbox) return;
  const total =
    INBOX_BYTES +
    OUTBOX_BYTES +
    FRAMES_BYTES +
    CACHE_BYTES +
    JOURNAL_BYTES +
    LOGS_BYTES +
    RETURN_BYTES +
    STACK_BYTES +
    MEMORY_BYTES;
  let at: usize = (heap.alloc(total + 4096) + 4095) & ~4095;
  inbox = at;
  at += INBOX_BYTES;
  outbox = at;
  at += OUTBOX_BYTES;
  framesArena = at;
  at += FRAMES_BYTES;
  cacheArena = at;
  at += CACHE_BYTES;
  journalArena = at;
  at += JOURNAL_BYTES;
  logsArena = at;
  at += LOGS_BYTES;
  returnArena = at;
  at += RETURN_BYTES;
  stackArena = at;
  at += STACK_BYTES;
  memoryArena = at;
}
