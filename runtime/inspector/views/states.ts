/** A block's state beside that of the block before, where it is there. */

import type { Side } from "../../chain/chain.ts";
import type { States } from "../../chain/survey.ts";
import { StoreError, UsageError } from "../../errors.ts";
import type { Block } from "../../index.ts";
import type { Source } from "../source.ts";

/** Which block a view compares with; or why with none. */
export interface Compared {
  readonly with: string | null;
  readonly reason: string | null;
}

/** Looks at the state of a block and at that of another, by default the block before. */
export function withStates<T>(
  { chain }: Source,
  block: Block,
  base: string | null,
  look: (states: States, compared: Compared) => T,
): T {
  const id = base ?? (block.height === 0 ? null : block.parent);
  return chain.withState(block, (after: Side) => {
    if (id === null) return look({ before: null, after }, { with: null, reason: "it is the first block" });
    const missing = whyMissing(() => chain.withState(chain.blockOf(id), () => null));
    if (missing !== null) return look({ before: null, after }, { with: null, reason: missing });
    return chain.withState(chain.blockOf(id), (before: Side) =>
      look({ before, after }, { with: id, reason: null }),
    );
  });
}

/** The text of the error of a state that is not there, null: it is there. */
function whyMissing(find: () => void): string | null {
  try {
    find();
    return null;
  } catch (error) {
    if (error instanceof UsageError || error instanceof StoreError) return error.message;
    throw error;
  }
}
