/** A history done the slow way, for comparison: a list of blocks, gone through for every question. */

export interface Named {
  readonly id: string;
  readonly height: number;
  readonly parent: string;
}

/** Heights of the archive. */
export const ARCHIVE = 4;

/** Blocks that have left the chain at its lower end, one of each height. */
interface ArchiveModel {
  readonly blocks: ReadonlyMap<number, Named>;
  /** Whether the chain has had another lower end than the one above the last of them. */
  readonly hasMoved: boolean;
}

export class HistoryModel {
  /** In the order in which they were retained. */
  readonly blocks: readonly Named[];
  readonly pinned: ReadonlySet<string>;
  readonly head: string;
  readonly archive: ArchiveModel;

  constructor(
    blocks: readonly Named[],
    head: string,
    pinned: ReadonlySet<string> = new Set(),
    archive: ArchiveModel = { blocks: new Map(), hasMoved: false },
  ) {
    this.archive = archive;
    this.blocks = blocks;
    this.head = head;
    this.pinned = pinned;
  }

  find(id: string): Named | undefined {
    return this.blocks.find((block) => block.id === id);
  }

  /** Ids of the chain, ascending. */
  chain(): string[] {
    const chain: string[] = [];
    for (let next = this.find(this.head); next !== undefined; next = this.find(next.parent)) {
      chain.unshift(next.id);
    }
    return chain;
  }

  /** Ids of all blocks by height, the older of one height first. */
  all(): string[] {
    return this.blocks.toSorted((a, b) => a.height - b.height).map(({ id }) => id);
  }

  excess(limit: number): string[] {
    const chain = new Set(this.chain());
    const side = this.all().filter((id) => !chain.has(id));
    const order = [...side, ...[...chain].slice(0, -1)].filter((id) => !this.pinned.has(id));
    return order.slice(0, Math.max(0, this.blocks.length - this.pinned.size - limit));
  }

  push({ id, height, parent }: Named): HistoryModel {
    const blocks = this.find(id) === undefined ? [...this.blocks, { id, height, parent }] : this.blocks;
    return new HistoryModel(blocks, id, this.pinned, this.archive);
  }

  goTo(id: string): HistoryModel {
    const other = new HistoryModel(this.blocks, id, this.pinned);
    const hasMoved = this.archive.hasMoved || other.chain()[0] !== this.chain()[0];
    return new HistoryModel(this.blocks, id, this.pinned, { ...this.archive, hasMoved });
  }

  forget(ids: readonly string[]): HistoryModel {
    return ids.reduce((model: HistoryModel, id) => model.#forgetOne(id), this);
  }

  #forgetOne(id: string): HistoryModel {
    const chain = this.chain();
    const blocks = new Map(this.archive.blocks);
    for (const left of chain.slice(0, chain.indexOf(id) + 1)) {
      const block = this.find(left) as Named;
      blocks.set(block.height, block);
      for (const height of blocks.keys()) if (height <= block.height - ARCHIVE) blocks.delete(height);
    }
    const rest = this.blocks.filter((block) => block.id !== id);
    return new HistoryModel(rest, this.head, this.pinned, { ...this.archive, blocks });
  }

  /** Ids of the archived blocks that lead to the chain, by height. */
  archivedChain(): Map<number, string> {
    const found = new Map<number, string>();
    let next = this.find(this.chain()[0] as string);
    while (next !== undefined) {
      const below = this.archive.blocks.get(next.height - 1);
      next = below?.id === next.parent ? below : undefined;
      if (next !== undefined) found.set(next.height, next.id);
    }
    return found;
  }

  setPinned(id: string, pinned: boolean): HistoryModel {
    const ids = new Set(this.pinned);
    if (pinned) ids.add(id);
    else ids.delete(id);
    return new HistoryModel(this.blocks, this.head, ids, this.archive);
  }
}
