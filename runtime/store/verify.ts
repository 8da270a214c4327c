/**
 * Verifying a store: walks everything that retained blocks reach and hashes it again.
 *
 * What an object is, is known from where it is named, so damage is reported as what a user knows: the
 * block, the process, and the range of its memory. Each object is looked at once; a subtree found whole is
 * not entered again, one that is damaged is, for each block and path that leads there.
 */

import { PAGE_BYTES } from "../limits.ts";
import type { Database } from "./database.ts";
import { type Edge, edgesOf, inputEdges, isWhole, rootEdge } from "./graph.ts";
import { type ArchivedRecord, type BlockRecord, unpackArchived } from "./record.ts";
import { readable } from "./state.ts";

/** A place in a block that cannot be read as it was written. */
export interface Damage {
  /** Null: not known, because the block's record cannot be read; or of no block. */
  readonly height: number | null;
  /** Id of the block, in hex; null: of no block, but of the store. */
  readonly block: string | null;
  /** Child numbers from the root. */
  readonly path: readonly number[];
  /**
   * What of the process: "memory" with the range below, "process" the whole of it, "children" those in the
   * range of numbers below, "reference" (its reference snapshot) before any of them, or a field of its
   * record. "record": the block's own; "metadata", "rules" and "change" (of these) what it was made from. Of
   * the store: "head" names no block that is there, "totals" cannot be read, "log" cannot be read as a whole.
   * "archived": a block without its state.
   */
  readonly part: string;
  /** Of "memory": the address; of "children": the number of the first. */
  readonly from: number | null;
  /** How many bytes, or child numbers, beginning at `from`. */
  readonly length: number | null;
  /** "missing": there is no such object; "damaged": it has other bytes. */
  readonly reason: "missing" | "damaged";
  /** The object, in hex; the block's id if it is its record, null if it is one of the store. */
  readonly hash: string | null;
}

/** A block that was verified; its height is null where its record cannot be read. */
export interface VerifiedBlock {
  readonly height: number | null;
  readonly id: string;
  /** All of it that is stored; where its state is not, also that of the block from which it is made again. */
  readonly intact: boolean;
  /** Whether its state is stored. */
  readonly stored: boolean;
}

/** A block that the log of inputs has, and the store has not. */
export interface LoggedBlock {
  readonly height: number;
  readonly id: string;
  /** Whether opening runs it again: the log can be read up to it, and what it stands on is intact. */
  readonly intact: boolean;
}

/** What was found. */
export interface Verification {
  readonly objects: number;
  readonly bytes: number;
  readonly blocks: readonly VerifiedBlock[];
  /**
   * Blocks of the log, in its order: a repair drops those that are not intact. They are not run. Of a salvage
   * those that it has not carried over, of which none counts as intact.
   */
  readonly logged: readonly LoggedBlock[];
  /** Blocks without their states that were looked at. */
  readonly archived: number;
  readonly damages: readonly Damage[];
  /** Whether there are more damages than are listed. */
  readonly truncated: boolean;
  /** The newest block without damage, null: none. */
  readonly newestIntact: string | null;
}

const DAMAGES_LIMIT = 1000;
/** Blocks of the archive that are looked at until others may work. */
const ARCHIVED_AT_ONCE = 256;
/** Of the store itself. */
const NO_BLOCK = { id: Buffer.alloc(0), height: null };
const ROOT: Place = { path: [], prefix: "", part: "process", first: 0 };

/** Where in a block an object is. */
interface Place {
  readonly path: readonly number[];
  /** "reference " inside of reference snapshots. */
  readonly prefix: string;
  readonly part: string;
  /** Of a table: the index of its first leaf. */
  readonly first: number;
}

/** Verifies blocks, newest first, a number of objects at a time. */
export class Verifier {
  readonly #database: Database;
  /** Objects whose subtree is whole. */
  readonly #whole = new Set<string>();
  readonly #damages: Damage[] = [];
  readonly #blocks: VerifiedBlock[] = [];
  /** By id: blocks that are whole but for what they are made from, and the block before where that counts. */
  readonly #made = new Map<string, { readonly isWhole: boolean; readonly from: string | null }>();
  /** Ids of damaged blocks that are kept for the states of others. */
  readonly damagedSupports: Buffer[] = [];
  readonly damagedObjects = new Set<string>();
  /** Heights of the archive whose records are damaged. */
  readonly damagedArchived: number[] = [];
  #block: Pick<BlockRecord, "id"> & { readonly height: number | null } = NO_BLOCK;
  #logged: readonly LoggedBlock[] = [];
  #objects = 0;
  #archived = 0;
  #bytes = 0;
  #truncated = false;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Objects that were looked at so far. */
  get objects(): number {
    return this.#objects;
  }

  /** A record of the store itself that cannot be used. */
  store(part: "head" | "totals" | "log", reason: Damage["reason"] = "damaged"): void {
    this.#block = NO_BLOCK;
    this.#report({ ...ROOT, part }, null, null, reason, NO_BLOCK.id);
  }

  /** Blocks of the log. */
  log(blocks: readonly LoggedBlock[]): void {
    this.#logged = blocks;
  }

  /** A block whose record cannot be read. */
  unreadable(id: Buffer, height: number | null): void {
    this.#block = { id, height };
    this.#report({ ...ROOT, part: "record" }, null, null, "damaged", id);
    this.#blocks.push({ height, id: id.toString("hex"), intact: false, stored: false });
  }

  /** Verifies a block; yields now and then. One that a writer prunes meanwhile is left out. */
  *block(block: BlockRecord, reason: "damaged" | null): Generator<void> {
    this.#block = block;
    const damages = this.#damages.length;
    let whole = reason === null;
    if (!whole) this.#report({ ...ROOT, part: "record" }, null, null, "damaged", block.id);
    if (block.stored) whole = (yield* this.#walk(rootEdge(block.root, "process"), ROOT)) && whole;
    for (const edge of inputEdges(block)) {
      const part = edge.wanted === "rules" ? "rules" : edge.key === block.metadata ? "metadata" : "change";
      whole = (yield* this.#walk(edge, { ...ROOT, part })) && whole;
    }
    if (!whole) this.#database.refresh();
    if (!whole && this.#database.block(block.id) === undefined) {
      this.#damages.length = damages;
      return;
    }
    const { height, stored, retained } = block;
    const id = block.id.toString("hex");
    this.#made.set(id, { isWhole: whole, from: stored ? null : block.parent.toString("hex") });
    if (retained) this.#blocks.push({ height, id, intact: whole, stored });
    else if (!whole) this.damagedSupports.push(block.id);
  }

  /** Whether a block, and all that its state is made from, is whole. */
  #isIntact(id: string): boolean {
    for (let next: string | null = id; next !== null; ) {
      const made = this.#made.get(next);
      if (made?.isWhole !== true) return false;
      next = made.from;
    }
    return true;
  }

  /** Verifies the archive; yields now and then. `isWhole` knows the record of a height. */
  *archive(isWhole: (record: ArchivedRecord, height: number) => boolean): Generator<void> {
    const database = this.#database;
    const heights = (after: number | null) => database.archivedHeights(after, ARCHIVED_AT_ONCE);
    for (let found = heights(null); found.length > 0; found = heights(found.at(-1) as number)) {
      for (const height of found) {
        const bytes = database.archivedAt(height);
        // A writer may remove it meanwhile.
        if (bytes === undefined) continue;
        this.#archived++;
        const record = readable(() => unpackArchived(bytes));
        if (record !== null && isWhole(record, height)) continue;
        this.damagedArchived.push(height);
        this.#block = { id: record?.block.id ?? NO_BLOCK.id, height };
        this.#report({ ...ROOT, part: "archived" }, null, null, "damaged", NO_BLOCK.id);
      }
      yield;
      database.refresh();
    }
  }

  result(): Verification {
    const blocks = this.#blocks.flatMap((block) => {
      const intact = this.#isIntact(block.id);
      // A writer may have pruned it since, with what it is made from.
      const isGone =
        block.intact && !intact && this.#database.block(Buffer.from(block.id, "hex")) === undefined;
      return isGone ? [] : [{ ...block, intact }];
    });
    return {
      objects: this.#objects,
      bytes: this.#bytes,
      blocks,
      logged: this.#logged,
      archived: this.#archived,
      damages: this.#damages,
      truncated: this.#truncated,
      newestIntact: blocks.find(({ intact }) => intact)?.id ?? null,
    };
  }

  *#walk(edge: Edge, place: Place): Generator<void, boolean> {
    const name = edge.key.toString("latin1");
    if (this.#whole.has(name)) return true;
    const stored = this.#database.object(edge.key);
    if (++this.#objects % 256 === 0) yield;
    this.#bytes += stored?.bytes.length ?? 0;
    if (stored === undefined || !isWhole(edge, stored)) {
      this.damagedObjects.add(edge.key.toString("hex"));
      const [from, length] = rangeOf(edge, place.first);
      this.#report(place, from, length, stored === undefined ? "missing" : "damaged", edge.key);
      return false;
    }
    let whole = true;
    for (const next of edgesOf(edge, stored))
      whole = (yield* this.#walk(next, placeOf(edge, place, next))) && whole;
    if (whole) this.#whole.add(name);
    return whole;
  }

  #report(
    { path, part }: Place,
    from: number | null,
    length: number | null,
    reason: Damage["reason"],
    hash: Buffer,
  ): void {
    if (this.#damages.length === DAMAGES_LIMIT) {
      this.#truncated = true;
      return;
    }
    const { height, id } = this.#block;
    const named = (bytes: Buffer): string | null => (bytes.length === 0 ? null : bytes.toString("hex"));
    const block = named(id);
    this.#damages.push({ height, block, path, part, from, length, reason, hash: named(hash) });
  }
}

/** Where what `place` names as `next` is. */
function placeOf({ wanted, shift }: Edge, place: Place, next: Edge): Place {
  const { path, prefix, first } = place;
  if (wanted === "rules") return place;
  if (wanted === "process") {
    if (next.name !== "reference") return { path, prefix, part: `${prefix}${next.name}`, first: 0 };
    return { path, prefix: "reference ", part: "reference process", first: 0 };
  }
  const index = first + (next.name as number) * 2 ** shift;
  if (next.wanted !== "process") return { ...place, first: index };
  return { path: [...path, index], prefix, part: `${prefix}process`, first: 0 };
}

/** What of the process a damaged part of a table takes with it: the first, and how many. */
function rangeOf({ wanted, shift }: Edge, first: number): [number | null, number | null] {
  if (wanted === "page") return [first * PAGE_BYTES, PAGE_BYTES];
  if (wanted === "memory") return [first * PAGE_BYTES, 2 ** (shift + 5) * PAGE_BYTES];
  return wanted === "children" ? [first, 2 ** (shift + 5)] : [null, null];
}
