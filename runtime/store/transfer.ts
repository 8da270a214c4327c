/**
 * Export and import of a block: a stream of chunks, each checked against the block's id as it comes.
 *
 * Both sides walk the tree from the root in the same order, each node before what it names. So the receiver
 * knows the hash of every object before it arrives, and takes nothing else. With a base, a block that both
 * sides have, the walk goes along both trees and skips what is equal in the same place.
 *
 *   chunk       u32 magic · u32 number · u32 objects · objects
 *   object      u8 tag · u32 length · bytes (format.ts)
 *   chunk 0     u32 magic · u32 0 · u32 2^32 - 1 · record "export" (record.ts)
 *
 * What arrived is in the store at once, but named by no block; the block comes last. So a transfer can go
 * on where it was interrupted: the receiver says which chunk it wants next, and the sender counts to it.
 */

import { StoreError } from "../errors.ts";
import type { Database } from "./database.ts";
import { type Stored, storedSums } from "./format.ts";
import { type Edge, edgesOf, factsOf, inputEdges, isWhole, rootEdge, type Sums, sumsAbove } from "./graph.ts";
import {
  type ExportRecord,
  type Progress,
  packExport,
  packProgress,
  packTotals,
  unpackExport,
  unpackProgress,
} from "./record.ts";
import { readTotals } from "./state.ts";

const MAGIC = 0x4b435053;
const HEAD = 0xffffffff;
export const CHUNK_HEAD_BYTES = 12;
const OBJECT_BYTES = 5;
/** Size of a chunk in bytes, unless another one is asked for. */
export const CHUNK_BYTES = 1 << 18;

/** An edge, and what stands in its place in the base. */
interface Pair {
  readonly edge: Edge;
  readonly base: Edge | null;
}

/** The order of the objects. */
class Walk {
  readonly #database: Database;
  readonly #sent = new Set<string>();
  readonly #stack: Pair[] = [];

  /** The base is read from `database`. */
  constructor(database: Database, { block, base }: ExportRecord) {
    this.#database = database;
    for (const edge of inputEdges(block)) {
      const isRules = edge.wanted === "rules" && base !== null;
      this.#stack.push({ edge, base: isRules ? rootEdge(base.rules, "rules") : null });
    }
    const baseRoot = base === null ? null : rootEdge(base.root, "process");
    this.#stack.push({ edge: rootEdge(block.root, "process"), base: baseRoot });
  }

  /** The next object, null: that was all. Call `enter` with it before the next one. */
  next(): Pair | null {
    for (let pair = this.#stack.pop(); pair !== undefined; pair = this.#stack.pop()) {
      const { edge, base } = pair;
      if (base?.key.equals(edge.key)) continue;
      const name = edge.wanted + edge.key.toString("latin1");
      if (this.#sent.has(name)) continue;
      this.#sent.add(name);
      return pair;
    }
    return null;
  }

  /** Continues with what the object names. */
  enter({ edge, base }: Pair, stored: Stored): void {
    const below = edgesOf(edge, stored);
    if (below.length === 0) return;
    const baseStored = base === null ? undefined : this.#database.object(base.key);
    const others = new Map<number | string, Edge>();
    if (base !== null && baseStored !== undefined) {
      for (const other of edgesOf(base, baseStored)) others.set(other.name, other);
    }
    for (const next of below.reverse()) this.#stack.push({ edge: next, base: others.get(next.name) ?? null });
  }
}

/** The chunks of a block from number `from` on, each full with `chunkBytes`. */
export function* exportChunks(
  database: Database,
  record: ExportRecord,
  from: number,
  chunkBytes = CHUNK_BYTES,
): Generator<Buffer> {
  if (from === 0) yield Buffer.concat([head(0, HEAD), packExport(record)]);
  const walk = new Walk(database, record);
  let parts: Buffer[] = [];
  let bytes = 0;
  let number = 1;
  const flush = (): Buffer => {
    const chunk = Buffer.concat([head(number, parts.length), ...parts]);
    parts = [];
    bytes = 0;
    number++;
    return chunk;
  };
  for (let pair = walk.next(); pair !== null; pair = walk.next()) {
    const stored = database.object(pair.edge.key);
    if (stored === undefined || !isWhole(pair.edge, stored)) throw unreadable(pair.edge);
    walk.enter(pair, stored);
    const object = Buffer.alloc(OBJECT_BYTES + stored.bytes.length);
    object[0] = stored.tag;
    object.writeUInt32LE(stored.bytes.length, 1);
    stored.bytes.copy(object, OBJECT_BYTES);
    parts.push(object);
    bytes += object.length;
    if (bytes < chunkBytes) continue;
    const chunk = flush();
    if (number > from) yield chunk;
  }
  const chunk = parts.length > 0 ? flush() : null;
  if (chunk !== null && number > from) yield chunk;
}

/** Takes the chunks of one block, in order. */
export class Import {
  readonly #database: Database;
  readonly record: ExportRecord;
  readonly #head: Buffer;
  readonly #walk: Walk;
  /** Where each process came, for what is checked when all are there. */
  readonly #processes = new Map<string, number>();
  #wanted: Pair | null;
  #next = 1;
  #objects = 0;

  private constructor(database: Database, head: Buffer) {
    this.#database = database;
    this.#head = head;
    this.record = unpackExport(head.subarray(CHUNK_HEAD_BYTES));
    this.#walk = new Walk(database, this.record);
    this.#wanted = this.#walk.next();
  }

  /** Whether this is chunk 0 of an export. */
  static isFirst(chunk: Buffer): boolean {
    const words = [0, 4, 8].map((at) => (chunk.length > CHUNK_HEAD_BYTES ? chunk.readUInt32LE(at) : null));
    return words[0] === MAGIC && words[1] === 0 && words[2] === HEAD;
  }

  /** Begins with chunk 0, after which `record` says what comes. */
  static begin(database: Database, chunk: Buffer): Import {
    if (!Import.isFirst(chunk)) throw refused(0, "it is not the first chunk of an export");
    try {
      return new Import(database, Buffer.from(chunk));
    } catch {
      throw refused(0, "it is damaged");
    }
  }

  /** Whether this is the chunk with which this import began. */
  beganWith(chunk: Buffer): boolean {
    return chunk.equals(this.#head);
  }

  /** Notes that this import has begun. Inside a transaction. */
  note(): void {
    this.#database.putMeta("importHead", this.#head);
    this.#database.putMeta("import", packProgress({ next: 1, objects: 0 }));
  }

  /** Continues with an import that was interrupted, null: there is none. */
  static resume(database: Database): Import | null {
    const progress = database.meta("import");
    if (progress === undefined) return null;
    const first = database.meta("importHead");
    if (first === undefined) return null;
    let found: Import;
    let said: Progress;
    try {
      said = unpackProgress(progress);
      found = new Import(database, first);
    } catch {
      // It can be made again from the start.
      return null;
    }
    const { next, objects } = said;
    for (let i = 0; i < objects; i++) {
      const stored = database.object((found.#wanted as Pair).edge.key);
      // A runtime was opened in between, and has swept what nobody named.
      if (stored === undefined) return null;
      found.#advance(stored, 0);
    }
    found.#next = next;
    return found;
  }

  /** The number of the chunk that is to come next. */
  get next(): number {
    return this.#next;
  }

  /** Whether all objects are there. */
  get complete(): boolean {
    return this.#wanted === null;
  }

  /**
   * Checks a chunk and keeps it.
   *
   * @throws StoreError (CHUNK_REFUSED); nothing of the chunk is kept then
   */
  take(chunk: Buffer): void {
    const number = this.#next;
    if (chunk.length < CHUNK_HEAD_BYTES || chunk.readUInt32LE(0) !== MAGIC)
      throw refused(number, "it is no chunk");
    const found = chunk.readUInt32LE(4);
    if (found !== number) throw refused(number, `chunk ${found} came in its place`);
    if (this.#wanted === null) throw refused(number, "the block was complete before it");
    this.#database.transaction(() => {
      const count = chunk.readUInt32LE(8);
      let at = CHUNK_HEAD_BYTES;
      // Checked whole first: what the walk has entered cannot be taken back.
      for (let i = 0; i < count; i++) {
        const length =
          at + OBJECT_BYTES <= chunk.length ? chunk.readUInt32LE(at + 1) : Number.POSITIVE_INFINITY;
        at += OBJECT_BYTES + length;
        if (at > chunk.length) throw refused(number, "it is cut off");
      }
      if (at !== chunk.length || count === 0) throw refused(number, "it is longer than it says");
      at = CHUNK_HEAD_BYTES;
      const totals = readTotals(this.#database);
      let { liveBytes } = totals;
      for (let i = 0; i < count; i++) {
        const bytes = chunk.subarray(at + OBJECT_BYTES, at + OBJECT_BYTES + chunk.readUInt32LE(at + 1));
        const stored = { tag: chunk[at] as number, bytes };
        at += OBJECT_BYTES + bytes.length;
        const pair = this.#wanted;
        if (pair === null) throw refused(number, "it holds more than the block");
        if (!isWhole(pair.edge, stored))
          throw refused(
            number,
            `object ${i} has other bytes than the block names, or is of another export of it`,
          );
        liveBytes += this.#database.putObject(pair.edge.key, stored);
        this.#advance(stored, number);
      }
      this.#database.putMeta("totals", packTotals({ ...totals, liveBytes }));
      this.#database.putMeta("import", packProgress({ next: number + 1, objects: this.#objects }));
    });
    this.#next++;
  }

  #advance(stored: Stored, chunk: number): void {
    const pair = this.#wanted as Pair;
    if (pair.edge.wanted === "process") this.#processes.set(pair.edge.key.toString("hex"), chunk);
    this.#walk.enter(pair, stored);
    this.#wanted = this.#walk.next();
    this.#objects++;
  }

  /**
   * Checks the sums that no hash covers, once all is there.
   *
   * @throws StoreError (CHUNK_REFUSED)
   */
  checkSums(): void {
    const known = new Map<string, Sums & { readonly parentGasEpoch: number }>();
    const sums = (edge: Edge): Sums & { readonly parentGasEpoch: number } => {
      const name = edge.key.toString("hex");
      const before = known.get(name);
      if (before !== undefined) return before;
      const stored = this.#database.object(edge.key);
      if (stored === undefined) throw unreadable(edge);
      const chunk = this.#processes.get(name);
      const facts = factsOf(stored);
      const said = storedSums(stored);
      if (chunk !== undefined) {
        const below = { gas: 0, runnable: 0 };
        for (const field of edgesOf(edge, stored)) {
          if (field.wanted === "process") sums(field);
          if (field.wanted === "children") add(field, below, facts.gasEpoch);
        }
        if (below.gas !== said.gas || below.runnable !== said.runnable) {
          throw refused(chunk, `process ${name} carries other sums than its children have`);
        }
      }
      const above = { ...sumsAbove(facts, said), parentGasEpoch: facts.parentGasEpoch };
      known.set(name, above);
      return above;
    };
    const add = (edge: Edge, total: { gas: number; runnable: number }, gasEpoch: number): void => {
      const stored = this.#database.object(edge.key);
      if (stored === undefined) throw unreadable(edge);
      for (const next of edgesOf(edge, stored)) {
        if (next.wanted === "children") {
          add(next, total, gasEpoch);
          continue;
        }
        const { gas, runnable, parentGasEpoch } = sums(next);
        if (parentGasEpoch === gasEpoch) total.gas += gas;
        total.runnable += runnable;
      }
    };
    sums(rootEdge(this.record.block.root, "process"));
  }
}

function head(number: number, objects: number): Buffer {
  const bytes = Buffer.alloc(CHUNK_HEAD_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(number, 4);
  bytes.writeUInt32LE(objects, 8);
  return bytes;
}

export function refused(number: number, why: string, advice = "Send it again"): StoreError {
  return new StoreError("CHUNK_REFUSED", `chunk ${number} is refused: ${why}. ${advice}`, { chunk: number });
}

function unreadable({ key }: Edge): StoreError {
  const hash = key.toString("hex");
  return new StoreError("STORE_CORRUPT", `the store is damaged: object ${hash} cannot be read`, { hash });
}
