/**
 * Following a store that another process writes: its head, block by block, with reverts.
 *
 * A look reads one committed state of the store. From the last block that the follower received it goes
 * down to where the chain of that state has the same block, tells that as a revert, and from there up to the
 * head, a part at a time. Nothing tells a reader that the file has changed, so the head is looked at every
 * few milliseconds: 10 µs, and none of the caller's business.
 */

import type { Database } from "../store/database.ts";
import type { BlockRecord } from "../store/record.ts";
import type { RuntimeEvent } from "./events.ts";
import type { BlockName } from "./history.ts";
import { type Access, blockOf } from "./stored.ts";

/** What a follower receives: the events of the head, as `Runtime.events` gives them. */
export type FollowEvent = Extract<RuntimeEvent, { kind: "commit" | "revert" | "lost" }>;

/** Maximum number of blocks of one look. */
const PART = 256;
/**
 * Blocks of which the follower remembers that it was told: reverts go no deeper while nobody retains them.
 */
const REMEMBERED = 1 << 16;

/** One follower: where it is. */
export class Follower {
  readonly #access: Access;
  readonly #database: Database;
  /** Those it received, ascending without a gap; the last is where it is. */
  #told: BlockName[];

  constructor(access: Access, database: Database, from: BlockName) {
    this.#access = access;
    this.#database = database;
    this.#told = [from];
  }

  /** What has happened since the last look, or a part of it; nothing: it is at the head. */
  look(): FollowEvent[] {
    const { readChain, readHead } = this.#access;
    const head = readHead(this.#database);
    const at = this.#told.at(-1) as BlockName;
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
      this.#told = [];
    } else {
      if (common.id !== at.id) {
        events.push({ kind: "revert", height: common.height, block: common.id, reason: "call" });
      }
      this.#told = [...this.#told.filter(({ height }) => height < common.height), common];
      next = common.height + 1;
    }
    for (const end = Math.min(head.height, next + PART - 1); next <= end; next++) {
      const made = blockOf(readChain(this.#database, next) as BlockRecord);
      const { id, height } = made;
      events.push({ kind: "commit", height, block: id, made });
      this.#told.push({ id, height });
    }
    if (this.#told.length > REMEMBERED) this.#told = this.#told.slice(-REMEMBERED / 2);
    return events;
  }

  /** The highest block that it received, or that is below, and that is on this chain. */
  #common(chainAt: (height: number) => string | null): BlockName | undefined {
    for (const name of this.#told.toReversed()) if (chainAt(name.height) === name.id) return name;
    let lowest = this.#told[0] as BlockName;
    for (;;) {
      const record = this.#access.readBlock(this.#database, Buffer.from(lowest.id, "hex"));
      if (record === null || record.height === 0) return undefined;
      lowest = { id: record.parent.toString("hex"), height: record.height - 1 };
      if (chainAt(lowest.height) === lowest.id) return lowest;
    }
  }
}
