/**
 * Following a store that another process writes: its head, block by block, with reverts.
 *
 * Each poll reads one committed state of the store. From the last block that the follower received it goes
 * down to the block that the chain of that state has as well, reports a revert to it, and from there goes up
 * to the head, a part at a time. A reader is not notified of changes of the file, so the head is polled every
 * few milliseconds, which takes 10 µs.
 */

import type { Database } from "../store/database.ts";
import type { BlockRecord } from "../store/record.ts";
import type { RuntimeEvent } from "./events.ts";
import type { BlockName } from "./history.ts";
import { type Access, blockOf } from "./stored.ts";

/** What a follower receives: the events of the head, as `Runtime.events` gives them. */
export type FollowEvent = Extract<RuntimeEvent, { kind: "commit" | "revert" | "lost" }>;

/** Maximum number of blocks of one poll. */
const PART = 256;
/** Maximum number of received blocks that a follower remembers, to find reverts to blocks not retained. */
const REMEMBERED = 1 << 16;

/** The position of one follower. */
export class Follower {
  readonly #access: Access;
  readonly #database: Database;
  /** Those it received, ascending without a gap; the last is where it is. */
  #known: BlockName[];

  constructor(access: Access, database: Database, from: BlockName) {
    this.#access = access;
    this.#database = database;
    this.#known = [from];
  }

  /** What has happened since the last look, or a part of it; nothing: it is at the head. */
  look(): FollowEvent[] {
    const { readChain, readHead } = this.#access;
    const head = readHead(this.#database);
    const at = this.#known.at(-1) as BlockName;
    if (head === null || head.id.toString("hex") === at.id) return [];
    const chainAt = (height: number): string | null =>
      height < head.base || height > head.height
        ? null
        : (readChain(this.#database, height) as BlockRecord).id.toString("hex");
    const events: FollowEvent[] = [];
    const common = this.#common(chainAt);
    let next = head.base;
    if (common === undefined) {
      // All that it knows was pruned: how much lies between is known only upwards.
      events.push({ kind: "lost", height: null, block: null, count: Math.max(0, head.base - at.height - 1) });
      this.#known = [];
    } else {
      if (common.id !== at.id) {
        events.push({ kind: "revert", height: common.height, block: common.id, reason: "call" });
      }
      this.#known = [...this.#known.filter(({ height }) => height < common.height), common];
      next = common.height + 1;
    }
    for (const end = Math.min(head.height, next + PART - 1); next <= end; next++) {
      const made = blockOf(readChain(this.#database, next) as BlockRecord);
      const { id, height } = made;
      events.push({ kind: "commit", height, block: id, made });
      this.#known.push({ id, height });
    }
    if (this.#known.length > REMEMBERED) this.#known = this.#known.slice(-REMEMBERED / 2);
    return events;
  }

  /** The highest block that it received, or that is below, and that is on this chain. */
  #common(chainAt: (height: number) => string | null): BlockName | undefined {
    for (const name of this.#known.toReversed()) if (chainAt(name.height) === name.id) return name;
    let lowest = this.#known[0] as BlockName;
    for (;;) {
      const record = this.#access.readBlock(this.#database, Buffer.from(lowest.id, "hex"));
      if (record === null || record.height === 0) return undefined;
      lowest = { id: record.parent.toString("hex"), height: record.height - 1 };
      if (chainAt(lowest.height) === lowest.id) return lowest;
    }
  }
}
