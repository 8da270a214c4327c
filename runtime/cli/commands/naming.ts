/** Reads the names of blocks, processes and addresses on a command line. */

import { badWord } from "../../arguments.ts";
import { UsageError } from "../../errors.ts";
import type { Block, Chain } from "../../index.ts";

/**
 * The block that a text names: one of the chain by height, any that is retained by its id, and by default the
 * newest.
 *
 * @throws UsageError BAD_OPTION, NOT_RETAINED
 */
export function blockNamed(chain: Chain, text: string | undefined): Block {
  if (text === undefined) return chain.head;
  const isId = /^[0-9a-f]{64}$/.test(text);
  if (!isId && !/^\d{1,15}$/.test(text)) {
    throw badWord("a block", text, "a height, or an id of 64 hexadecimal digits");
  }
  const blocks = isId ? chain.retained() : chain.blocks();
  const found = blocks.find(({ id, height }) => (isId ? id === text : height === Number(text)));
  if (found !== undefined) return found;
  const facts = { block: text };
  const apart = isId ? [] : chain.retained().filter(({ height }) => height === Number(text));
  if (apart.length > 0) {
    const ids = apart.map(({ id }) => id).join(" or ");
    throw new UsageError(
      "NOT_RETAINED",
      `block ${text} is not on the chain: name it by its id, ${ids}`,
      facts,
    );
  }
  const heights = `${chain.blocks()[0]?.height} to ${chain.head.height}`;
  const held = `its chain has the heights ${heights}; "stillpoint inspect DIR blocks" lists all`;
  throw new UsageError("NOT_RETAINED", `the store does not hold block ${text}: ${held}`, facts);
}

/** Child numbers from the root: "/", "/1/7". */
export function pathNamed(text: string | undefined): number[] {
  const path = text ?? "/";
  if (!/^\/(\d{1,7}(\/\d{1,7})*)?$/.test(path)) {
    throw badWord("a process", path, "the numbers of children from the root, as /1/7");
  }
  return path === "/" ? [] : path.slice(1).split("/").map(Number);
}

/** A whole number, decimal or with 0x. */
export function numberNamed(what: string, text: string): number {
  const value = /^(\d{1,15}|0x[\da-f]{1,13})$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw badWord(what, text, "a whole number, as 4096 or 0x1000");
}

/** Enough for a store with any rules: address space is reserved, and memory is taken as it is used. */
export const HEAP_BYTES = 2 ** 36;

export function pathText(path: readonly number[]): string {
  return `/${path.join("/")}`;
}
