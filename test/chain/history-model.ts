/** A history done the slow way, for comparison: a list of blocks, gone through for every question. */

export interface Named {
  readonly id: string;
  readonly height: number;
  readonly parent: string;
}

export class HistoryModel {
  /** In the order in which they were retained. */
  readonly blocks: readonly Named[];
  readonly pinned: ReadonlySet<string>;
  readonly head: string;

  constructor(blocks: readonly Named[], head: string, pinned: ReadonlySet<string> = new Set()) {
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
    return new HistoryModel(blocks, id, this.pinned);
  }

  goTo(id: string): HistoryModel {
    return new HistoryModel(this.blocks, id, this.pinned);
  }

  forget(ids: readonly string[]): HistoryModel {
    const rest = this.blocks.filter(({ id }) => !ids.includes(id));
    return new HistoryModel(rest, this.head, this.pinned);
  }

  setPinned(id: string, pinned: boolean): HistoryModel {
    const ids = new Set(this.pinned);
    if (pinned) ids.add(id);
    else ids.delete(id);
    return new HistoryModel(this.blocks, this.head, ids);
  }
}
