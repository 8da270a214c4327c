/**
 * A window checked once more, when all of it is committed: what every item has read must be what the items
 * before it left. Only the logs are looked at, no state of the scheduler.
 */

import { KernelPanic } from "../errors.ts";
import * as layout from "./layout.ts";

const LINE_WORDS = layout.LINE_BYTES / 4;

/**
 * Checks the first `done` items of the window in the core's memory `words`.
 *
 * @throws KernelPanic if an item was committed that read something else
 */
export function verifyWindow(words: Int32Array, done: number): void {
  /** By line: where the bytes lie that it has after the items so far, and which item left them (-1: none). */
  const lines = new Map<number, { readonly at: number; readonly item: number }>();
  for (let item = 0; item < done; item++) {
    const record = (layout.ITEMS + item * layout.ITEM_SIZE) / 4;
    const begin = (words[record + layout.ITEM_LOG / 4] as number) >>> 0;
    const end = (words[record + layout.ITEM_LOG_END / 4] as number) >>> 0;
    for (let entry = begin; entry < end; entry += layout.ENTRY_SIZE) {
      if (words[(entry + layout.ENTRY_VERSION) / 4] === layout.ENTRY_UNREAD) continue;
      const line = (words[(entry + layout.ENTRY_LINE) / 4] as number) >>> 0;
      const read = (entry + layout.ENTRY_BYTES) / 4;
      const now = lines.get(line);
      // Nobody in this window has written it yet: all that read it have read the same bytes.
      if (now === undefined) lines.set(line, { at: read, item: -1 });
      else if (!equal(words, now.at, read)) throw mismatch(item, line, now.item);
    }
    for (let entry = begin; entry < end; entry += layout.ENTRY_SIZE) {
      const written = (words[(entry + layout.ENTRY_WRITTEN) / 4] as number) >>> 0;
      if (written === 0) continue;
      const line = (words[(entry + layout.ENTRY_LINE) / 4] as number) >>> 0;
      lines.set(line, { at: (written + layout.VERSION_BYTES) / 4, item });
    }
  }
}

function equal(words: Int32Array, a: number, b: number): boolean {
  for (let i = 0; i < LINE_WORDS; i++) if (words[a + i] !== words[b + i]) return false;
  return true;
}

function mismatch(item: number, line: number, writer: number): KernelPanic {
  const address = line * layout.LINE_BYTES;
  const source = writer < 0 ? "the state before the window" : `item ${writer} of the window`;
  return new KernelPanic(
    `a batch committed item ${item} of a window, which had read other bytes at address ${address} than ` +
      `${source} left. ` +
      'This is a defect of the runtime: run with the option runner: "sequential" and report it',
    { item, address, writer },
  );
}
