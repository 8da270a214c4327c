/**
 * Verifying a store: walks everything that retained blocks reach and hashes it anew.
 *
 * What an object is, is known from where it is named, so damage is reported as what a user knows: the
 * block, the process, and the range of its memory. Each object is looked at once; a subtree found whole is
 * not entered again, one that is damaged is, for each block and path that leads there.
 */

import {
  fieldBytes,
  HASH_BYTES,
  HASHED_FIELDS,
  NODE_PREFIX_BYTES,
  RECORD_PREFIX_BYTES,
} from "../image/record.ts";
import { PAGE_BYTES } from "../limits.ts";
import type { Database } from "./database.ts";
import {
  checkObject,
  DamagedObject,
  type Stored,
  TAG_BLOB,
  TAG_BLOB_RUNS,
  TAG_NODE,
  TAG_PAGE,
  TAG_PAGE_RUNS,
  TAG_PROCESS,
} from "./format.ts";
import type { BlockRecord } from "./record.ts";

/** A place in a block that cannot be read as it was written. */
export interface Damage {
  readonly height: number;
  /** Id of the block, in hex. */
  readonly block: string;
  /** Child numbers from the root. */
  readonly path: readonly number[];
  /**
   * What of the process: "memory" with the range below, "process" the whole of it, "children" those in the
   * range of numbers below, "reference" (its reference snapshot) before any of them, or a field of its
   * record.
   */
  readonly part: string;
  /** Of "memory": the address; of "children": the number of the first. */
  readonly from: number | null;
  /** How many bytes, or child numbers, beginning at `from`. */
  readonly length: number | null;
  /** "missing": there is no such object; "damaged": it has other bytes. */
  readonly reason: "missing" | "damaged";
  /** The object, in hex. */
  readonly hash: string;
}

/** What was found. */
export interface Verification {
  readonly objects: number;
  readonly bytes: number;
  readonly blocks: readonly { readonly height: number; readonly id: string; readonly intact: boolean }[];
  readonly damages: readonly Damage[];
  /** Whether there are more damages than are listed. */
  readonly truncated: boolean;
  /** The newest block without damage, null: none. */
  readonly newestIntact: string | null;
}

const DAMAGES_LIMIT = 1000;
const KIND_OF_LEAF = { memory: "page", children: "process" } as const;
type Wanted = "node" | "process" | "page" | "blob";
const TAGS: Readonly<Record<Wanted, readonly number[]>> = {
  node: [TAG_NODE],
  process: [TAG_PROCESS],
  page: [TAG_PAGE, TAG_PAGE_RUNS],
  blob: [TAG_BLOB, TAG_BLOB_RUNS],
};

/** Verifies blocks, newest first, a number of objects at a time. */
export class Verifier {
  readonly #database: Database;
  /** Objects whose subtree is whole. */
  readonly #whole = new Set<string>();
  readonly #damages: Damage[] = [];
  readonly #blocks: { height: number; id: string; intact: boolean }[] = [];
  readonly damagedObjects = new Set<string>();
  #block: BlockRecord | null = null;
  #objects = 0;
  #bytes = 0;
  #truncated = false;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Verifies a block; yields now and then. Returns whether it is intact. */
  *block(block: BlockRecord, reason: "damaged" | null): Generator<void, boolean> {
    this.#block = block;
    let whole = reason === null;
    if (!whole) this.#report([], "record", null, null, "damaged", block.id.toString("hex"));
    whole = (yield* this.#process(block.root, [], "")) && whole;
    if (block.metadata !== null) {
      whole = (yield* this.#object(block.metadata, "blob", [], "metadata", null, null)) && whole;
    }
    this.#blocks.push({ height: block.height, id: block.id.toString("hex"), intact: whole });
    return whole;
  }

  result(): Verification {
    return {
      objects: this.#objects,
      bytes: this.#bytes,
      blocks: this.#blocks,
      damages: this.#damages,
      truncated: this.#truncated,
      newestIntact: this.#blocks.find(({ intact }) => intact)?.id ?? null,
    };
  }

  *#process(key: Buffer, path: readonly number[], prefix: string): Generator<void, boolean> {
    return yield* this.#walk(
      key,
      "process",
      path,
      `${prefix}process`,
      null,
      null,
      this.#fields(path, prefix),
    );
  }

  #fields(path: readonly number[], prefix: string) {
    const self = this;
    return function* ({ bytes }: Stored): Generator<void, boolean> {
      let whole = true;
      let at = RECORD_PREFIX_BYTES;
      for (const [name, type] of HASHED_FIELDS) {
        const hash = bytes.subarray(at, at + fieldBytes(type));
        at += hash.length;
        if (type !== "hash" || hash.every((byte) => byte === 0)) continue;
        const key = Buffer.from(hash);
        if (name === "reference") whole = (yield* self.#process(key, path, "reference ")) && whole;
        else if (name === "memory" || name === "children")
          whole = (yield* self.#table(key, path, prefix, name, 15, 0)) && whole;
        else whole = (yield* self.#object(key, "blob", path, prefix + name, null, null)) && whole;
      }
      return whole;
    };
  }

  *#table(
    key: Buffer,
    path: readonly number[],
    prefix: string,
    name: "memory" | "children",
    shift: number,
    first: number,
  ): Generator<void, boolean> {
    const self = this;
    const unit = name === "memory" ? PAGE_BYTES : 1;
    const length = unit * 2 ** (shift + 5);
    return yield* this.#walk(key, "node", path, prefix + name, first * unit, length, function* ({ bytes }) {
      let whole = true;
      const bitmap = bytes.readUInt32LE(4);
      let at = NODE_PREFIX_BYTES;
      for (let position = 0; position < 32; position++) {
        if (((bitmap >>> position) & 1) === 0) continue;
        const child = Buffer.from(bytes.subarray(at, at + HASH_BYTES));
        at += HASH_BYTES;
        const index = first + position * 2 ** shift;
        if (shift > 0) whole = (yield* self.#table(child, path, prefix, name, shift - 5, index)) && whole;
        else if (KIND_OF_LEAF[name] === "process")
          whole = (yield* self.#process(child, [...path, index], prefix)) && whole;
        else whole = (yield* self.#object(child, "page", path, prefix + name, index * unit, unit)) && whole;
      }
      return whole;
    });
  }

  #object(
    key: Buffer,
    wanted: Wanted,
    path: readonly number[],
    part: string,
    from: number | null,
    length: number | null,
  ) {
    return this.#walk(key, wanted, path, part, from, length, null);
  }

  *#walk(
    key: Buffer,
    wanted: Wanted,
    path: readonly number[],
    part: string,
    from: number | null,
    length: number | null,
    below: ((stored: Stored) => Generator<void, boolean>) | null,
  ): Generator<void, boolean> {
    const name = key.toString("latin1");
    if (this.#whole.has(name)) return true;
    const stored = this.#read(key);
    if (++this.#objects % 256 === 0) yield;
    this.#bytes += stored?.bytes.length ?? 0;
    if (stored === undefined || !isWhole(key, stored, wanted)) {
      this.damagedObjects.add(key.toString("hex"));
      this.#report(
        path,
        part,
        from,
        length,
        stored === undefined ? "missing" : "damaged",
        key.toString("hex"),
      );
      return false;
    }
    const whole = below === null || (yield* below(stored));
    if (whole) this.#whole.add(name);
    return whole;
  }

  #read(key: Buffer): Stored | undefined {
    return this.#database.object(key);
  }

  #report(
    path: readonly number[],
    part: string,
    from: number | null,
    length: number | null,
    reason: Damage["reason"],
    hash: string,
  ): void {
    if (this.#damages.length === DAMAGES_LIMIT) {
      this.#truncated = true;
      return;
    }
    const { height, id } = this.#block as BlockRecord;
    this.#damages.push({ height, block: id.toString("hex"), path, part, from, length, reason, hash });
  }
}

function isWhole(key: Buffer, stored: Stored, wanted: Wanted): boolean {
  if (!TAGS[wanted].includes(stored.tag)) return false;
  try {
    checkObject(key, stored);
    return true;
  } catch (error) {
    if (error instanceof DamagedObject) return false;
    throw error;
  }
}
