/**
 * All blocks of a chain, laid out for a picture: by height, with a lane for each side branch, and in cells of
 * many heights where there are many.
 */

import type { BlockOutline, Outline } from "../chain/outline.ts";

/** A block with its place in the picture. */
export interface Placed extends BlockOutline {
  /** 0: the chain; else the column of its branch. */
  readonly lane: number;
}

/** Heights next to each other. */
export interface HeightCell {
  readonly first: number;
  readonly last: number;
  readonly blocks: number;
  readonly gasMax: number;
  readonly gasSum: number;
  readonly side: number;
  readonly pinned: number;
  readonly durable: number;
}

/** More lanes are drawn as the last of these. */
const LANES = 6;

export class Index {
  readonly head: BlockOutline | null;
  /** Descending by height. */
  readonly blocks: readonly Placed[];
  readonly damaged: readonly string[];
  readonly #byId: ReadonlyMap<string, Placed>;

  constructor({ head, blocks, damaged }: Outline) {
    this.damaged = damaged;
    this.blocks = placed(blocks);
    this.#byId = new Map(this.blocks.map((block) => [block.id, block]));
    this.head = head === null ? null : (this.#byId.get(head) ?? null);
  }

  get(id: string): Placed | undefined {
    return this.#byId.get(id);
  }

  /** Blocks that stand on this one. */
  above(id: string, most: number): Placed[] {
    const height = this.#byId.get(id)?.height;
    if (height === undefined) return [];
    const next = this.blocks.slice(this.#placeOf(height + 1), this.#placeOf(height));
    return next.filter((block) => block.parent === id).slice(0, most);
  }

  /** At most `count` blocks from this height downwards. */
  below(height: number, count: number): Placed[] {
    const first = this.#placeOf(height);
    return this.blocks.slice(first, first + count);
  }

  /** Heights in at most `most` cells, ascending. */
  cells(most: number): HeightCell[] {
    const [top, bottom] = [this.blocks[0], this.blocks.at(-1)];
    if (top === undefined || bottom === undefined) return [];
    const span = Math.ceil((top.height - bottom.height + 1) / most);
    const cells = new Map<number, HeightCell>();
    for (const { height, gasUsed, chain, pinned, durable } of this.blocks) {
      const number = Math.floor((height - bottom.height) / span);
      const first = bottom.height + number * span;
      const last = Math.min(first + span - 1, top.height);
      const none = { blocks: 0, gasMax: 0, gasSum: 0, side: 0, pinned: 0, durable: 0 };
      const cell = cells.get(number) ?? { first, last, ...none };
      cells.set(number, {
        ...cell,
        blocks: cell.blocks + 1,
        gasMax: Math.max(cell.gasMax, gasUsed),
        gasSum: cell.gasSum + gasUsed,
        side: cell.side + Number(!chain),
        pinned: cell.pinned + Number(pinned),
        durable: cell.durable + Number(durable),
      });
    }
    return [...cells.values()].sort((a, b) => a.first - b.first);
  }

  /** The newest blocks of side branches on which nothing stands. */
  tips(most: number): Placed[] {
    const parents = new Set(this.blocks.map(({ parent }) => parent));
    return this.blocks.filter(({ chain, id }) => !chain && !parents.has(id)).slice(0, most);
  }

  get pinnedCount(): number {
    return this.blocks.filter(({ pinned }) => pinned).length;
  }

  /** Where the blocks of this height begin, or would. */
  #placeOf(height: number): number {
    let [low, high] = [0, this.blocks.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.blocks[middle] as Placed).height > height) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Descending, each block in the lane of the one that stands on it, or else in one that is free. */
function placed(ascending: readonly BlockOutline[]): Placed[] {
  const lanes = new Map<string, number>();
  const taken: (string | null)[] = [];
  const side = new Set(ascending.flatMap(({ chain, id }) => (chain ? [] : [id])));
  return ascending.toReversed().map((block) => {
    if (block.chain) return { ...block, lane: 0 };
    let lane = lanes.get(block.id);
    if (lane === undefined) {
      const free = taken.indexOf(null);
      lane = free < 0 ? taken.length : free;
    }
    taken[lane] = block.parent;
    // The next below in this lane; if that is of the chain, or not there, the lane is free from there on.
    lanes.set(block.parent, lane);
    if (!side.has(block.parent)) taken[lane] = null;
    return { ...block, lane: Math.min(LANES, lane + 1) };
  });
}
