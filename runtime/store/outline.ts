/** A chain at a glance: every block that is retained, without its data, and records that cannot be read. */

import type { Database } from "./database.ts";
import { type BlockRecord, type Head, unpackBlock, unpackHead } from "./record.ts";
import { readable } from "./state.ts";

/** A retained block, as a list shows it. */
export interface BlockOutline {
  readonly height: number;
  readonly id: string;
  readonly parent: string;
  readonly root: string;
  readonly gasUsed: number;
  readonly dataBytes: number;
  readonly pinned: boolean;
  /** Whether its state is in a store. */
  readonly durable: boolean;
  /** Whether it is on the chain, and not on a side branch. */
  readonly chain: boolean;
}

export interface Outline {
  /** Id of the head; null: it cannot be read. */
  readonly head: string | null;
  /** By height, the older of one height first. */
  readonly blocks: readonly BlockOutline[];
  /** Ids of blocks whose records are damaged. */
  readonly damaged: readonly string[];
}

/** The records of blocks that can be read, by height, and ids of those that cannot. */
export function readableBlocks(database: Database): { blocks: BlockRecord[]; damaged: Buffer[] } {
  const blocks: BlockRecord[] = [];
  const damaged: Buffer[] = [];
  for (const id of database.blockIds()) {
    const record = readable(() => unpackBlock(id, database.block(id) as Buffer));
    if (record === null) damaged.push(id);
    else blocks.push(record);
  }
  return { blocks: blocks.sort((a, b) => a.height - b.height || a.sequence - b.sequence), damaged };
}

/** The outline of a store: what can be read of it, whatever is damaged. */
export function outlineOfStore(database: Database): Outline {
  const { blocks, damaged } = readableBlocks(database);
  const head = readable((): Head | null => {
    const bytes = database.meta("head");
    return bytes === undefined ? null : unpackHead(bytes);
  });
  const isOnChain = ({ id, height }: BlockRecord): boolean =>
    head !== null && height <= head.height && database.chainAt(height)?.equals(id) === true;
  return {
    head: head?.id.toString("hex") ?? null,
    damaged: damaged.map((id) => id.toString("hex")),
    blocks: blocks
      .filter(({ retained }) => retained)
      .map((record) => ({
        height: record.height,
        id: record.id.toString("hex"),
        parent: record.parent.toString("hex"),
        root: record.root.toString("hex"),
        gasUsed: record.gasUsed,
        dataBytes: record.data.length,
        pinned: record.pinned,
        durable: record.stored,
        chain: isOnChain(record),
      })),
  };
}
