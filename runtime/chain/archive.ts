/**
 * The archive: blocks of the chain that are not retained any more, kept without their states. They can be
 * read, and nothing can go back to them.
 *
 * There is one of each height at most, the last that left the chain there. Heights of an archive may belong
 * to other chains than the present one, if the history went back to a pinned block below. So there is a run:
 * each of the heights `from` to `top` holds the parent of the next one. What is in it below the chain's base,
 * and leads to that, is the chain's; everything else is found by its id alone.
 *
 * This is the archive of a history without a store, a value like that; store/archive.ts has the other one, by
 * the same rules. Every operation costs the logarithm of what there is.
 */

import type { Block, Retained } from "./block.ts";
import type { RetainedInput } from "./change.ts";
import { IntegerMap } from "./integer-map.ts";

/** A block without its state, and what it was made from. */
export interface ArchivedBlock extends RetainedInput {
  readonly block: Block;
}

interface Parts {
  /** Maximum number of heights. */
  readonly limit: number;
  /** Reads what is to be kept of a block; null: a store keeps it. */
  readonly copy: ((entry: Retained) => ArchivedBlock) | null;
  readonly blocks: IntegerMap<ArchivedBlock>;
  /** Heights of blocks by the first 32 bits of their ids. */
  readonly heights: IntegerMap<readonly number[]>;
  readonly from: number;
  readonly top: number;
}

export class Archive {
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  static empty(limit: number, copy: Parts["copy"]): Archive {
    const [blocks, heights] = [IntegerMap.empty<ArchivedBlock>(), IntegerMap.empty<readonly number[]>()];
    return new Archive({ limit, copy, blocks, heights, from: 0, top: -1 });
  }

  /** Maximum number of heights, here or in the store. */
  get limit(): number {
    return this.#parts.limit;
  }

  /** With a block that has left the chain at its lower end. */
  add(entry: Retained): Archive {
    const { limit, copy } = this.#parts;
    if (limit === 0 || copy === null) return this;
    const { height } = entry.block;
    const from = this.#leadsTo(entry.block) ? this.#parts.from : height;
    const lowest = height - limit + 1;
    const { blocks, heights } = this.#remove(height).#removeBelow(lowest).#parts;
    const key = keyOf(entry.block.id);
    return new Archive({
      limit,
      copy,
      blocks: blocks.set(height, copy(entry)),
      heights: heights.set(key, [...(heights.get(key) ?? []), height]),
      from: Math.max(from, lowest),
      top: height,
    });
  }

  /** The block of the chain at a height below its first retained block, which is `base`. */
  at(height: number, base: Block): ArchivedBlock | null {
    const isOfChain = this.#leadsTo(base) && height >= this.#parts.from && height < base.height;
    return isOfChain ? (this.#parts.blocks.get(height) ?? null) : null;
  }

  withId(id: string): ArchivedBlock | null {
    const found = (this.#parts.heights.get(keyOf(id)) ?? []).map((height) => this.#parts.blocks.get(height));
    return found.find((one) => one?.block.id === id) ?? null;
  }

  /** Whether the run ends with the parent of the block, or contains it. */
  #leadsTo({ height, parent }: Block): boolean {
    const { blocks, from, top } = this.#parts;
    return from < height && height <= top + 1 && blocks.get(height - 1)?.block.id === parent;
  }

  #remove(height: number): Archive {
    const { blocks, heights } = this.#parts;
    const known = blocks.get(height);
    if (known === undefined) return this;
    const key = keyOf(known.block.id);
    const others = (heights.get(key) ?? []).filter((one) => one !== height);
    return new Archive({
      ...this.#parts,
      blocks: blocks.delete(height),
      heights: others.length === 0 ? heights.delete(key) : heights.set(key, others),
    });
  }

  #removeBelow(lowest: number): Archive {
    let rest: Archive = this;
    for (let first = rest.#parts.blocks.first; first >= 0 && first < lowest; ) {
      rest = rest.#remove(first);
      first = rest.#parts.blocks.first;
    }
    return rest;
  }
}

function keyOf(id: string): number {
  return Number.parseInt(id.slice(0, 8), 16);
}
