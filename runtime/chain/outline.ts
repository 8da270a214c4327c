/** The blocks of a history at a glance, as store/outline.ts gives those of a store. */

import type { Outline } from "../store/outline.ts";
import type { History } from "./history.ts";

export type { BlockOutline, Outline } from "../store/outline.ts";

/** The outline of a history, of which the store holds `held`; null: there is no store. */
export function outlineOf(history: History, held: History | null): Outline {
  return {
    head: history.head.block.id,
    damaged: [],
    blocks: history.all().map(({ block, ref }) => ({
      ...{ height: block.height, id: block.id, parent: block.parent, root: block.root },
      ...{ gasUsed: block.gasUsed, dataBytes: block.data.length, pinned: history.isPinned(block) },
      durable: held?.get(block) !== undefined && ref !== 0,
      chain: history.isOnChain(block),
    })),
  };
}
