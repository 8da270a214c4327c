/**
 * Portable exports: a block in a format that depends on no hash, so that a version of the runtime can read it
 * which hashes states, or lays them out, in another way (rehash.ts): it computes its own hashes.
 *
 * Objects name others by numbers: the first in the stream has number 1, and each comes after those that it
 * names. Numbers are little-endian.
 *
 *   chunk     u32 magic · u32 number · u32 objects · objects · 32 bytes: SHA-256 of the check of the chunk
 *             before (zeros: there is none) and of all before it in this one
 *   object    u8 kind · u32 length · bytes
 *
 *   head      chunk 0 has it alone, and it has no number. JSON: see Head
 *   page      up to 4,096 bytes; what is missing at the end is zero
 *   blob      the bytes
 *   node      part of a table of radix 32, as in heap/table.ts: u32 bitmap of the positions that are taken ·
 *             u32 the object at each. Four levels; those at the lowest name pages, or processes
 *   process   the fields that the head lists, in its order, each 4 or 8 bytes: "hash" is here the u32 number
 *             of an object, 0: none. Sums over the children are left out
 *   rules     JSON: the fields of Rules (image/rules.ts), the programs as numbers of blobs
 *   block     the last object. JSON: see PortableBlock
 *
 * What is a blob to the runtime is one here: the change of rules of a block, and what guests hold.
 */

import { hash } from "node:crypto";
import { StoreError } from "../errors.ts";
import {
  fieldBytes,
  HASH_VERSION,
  HASHED_FIELDS,
  HEADER_VERSION,
  NODE_PREFIX_BYTES,
  RECORD_PREFIX_BYTES,
} from "../image/record.ts";
import { decodeGenesis, decodeRules, RULES_VERSION } from "../image/rules.ts";
import type { Database } from "./database.ts";
import { hashedBytes, type Stored } from "./format.ts";
import { type Edge, edgesOf, inputEdges, isWhole, rootEdge } from "./graph.ts";
import type { ExportRecord } from "./record.ts";

export const PORTABLE_MAGIC = 0x50435053;
export const PORTABLE_VERSION = 1;
export const CHUNK_HEAD_BYTES = 12;
export const OBJECT_BYTES = 5;
export const CHECK_BYTES = 32;

export const KIND_HEAD = 0;
export const KIND_PAGE = 1;
export const KIND_BLOB = 2;
export const KIND_NODE = 3;
export const KIND_PROCESS = 4;
export const KIND_RULES = 5;
export const KIND_BLOCK = 6;

/** What a portable export begins with. Hashes are in hex. */
export interface Head {
  readonly format: "stillpoint portable export";
  readonly version: number;
  /** What the writer's hashes are of: a version that hashes the same must compute the same id. */
  readonly identity: string;
  /** The block, as the writer names it. */
  readonly id: string;
  readonly root: string;
  readonly height: number;
  readonly genesis: string;
  /** Name and type of each field of a process. */
  readonly fields: readonly (readonly [string, string])[];
}

/** The block at the end of a portable export, and its genesis. Numbers are of objects, 0: none. */
export interface PortableBlock {
  readonly height: number;
  /** Id of the block before as the writer names it, in hex. */
  readonly parent: string;
  readonly gasLimit: number;
  readonly root: number;
  readonly metadata: number;
  readonly rules: number;
  readonly change: number;
  readonly genesis: { readonly origin: string | null; readonly entry: string; readonly rules: number };
}

/** What this build's hashes are of. */
export const IDENTITY = `SHA-256, record ${HASH_VERSION}, header ${HEADER_VERSION}, rules ${RULES_VERSION}`;
/** The fields of a process in this build. */
export const FIELDS = HASHED_FIELDS.map(([name, type]): [string, string] => [name, type]);

/** The check of a chunk: `before` is that of the one before it. */
export function checkOfChunk(before: Buffer, chunk: Buffer): Buffer {
  return hash("sha256", Buffer.concat([before, chunk]), "buffer");
}

/** The chunks of a portable export of a block from number `from` on, each full with `chunkBytes`. */
export function* portableChunks(
  database: Database,
  record: ExportRecord,
  from: number,
  chunkBytes: number,
): Generator<Buffer> {
  let before: Buffer = Buffer.alloc(CHECK_BYTES);
  let number = 0;
  const finished = (parts: readonly Buffer[]): Buffer => {
    const chunk = Buffer.concat([chunkHead(number++, parts.length), ...parts]);
    before = checkOfChunk(before, chunk);
    return Buffer.concat([chunk, before]);
  };
  const first = finished([object(KIND_HEAD, json(headOf(record)))]);
  if (from === 0) yield first;
  let parts: Buffer[] = [];
  let bytes = 0;
  for (const part of new Writer(database).objects(record)) {
    parts.push(part);
    bytes += part.length;
    if (bytes < chunkBytes) continue;
    const chunk = finished(parts);
    parts = [];
    bytes = 0;
    if (number > from) yield chunk;
  }
  const last = parts.length > 0 ? finished(parts) : null;
  if (last !== null && number > from) yield last;
}

function headOf({ block, genesis }: ExportRecord): Head {
  return {
    format: "stillpoint portable export",
    version: PORTABLE_VERSION,
    identity: IDENTITY,
    id: block.id.toString("hex"),
    root: block.root.toString("hex"),
    height: block.height,
    genesis: hash("sha256", genesis, "hex"),
    fields: FIELDS,
  };
}

/** An object that is being written: what it names comes first. */
interface Open {
  readonly edge: Edge;
  readonly stored: Stored;
  readonly below: Edge[];
  next: number;
}

/** Gives numbers to objects, in the order in which they are written. */
class Writer {
  readonly #database: Database;
  /** By hash: one object has one number. */
  readonly #numbers = new Map<string, number>();
  #count = 0;

  constructor(database: Database) {
    this.#database = database;
  }

  *objects({ block, genesis }: ExportRecord): Generator<Buffer> {
    for (const edge of inputEdges(block)) yield* this.#reached(edge);
    yield* this.#reached(rootEdge(block.root, "process"));
    const { origin, entry, rules } = decodeGenesis(genesis);
    // All programs of the genesis are among those of the block.
    yield object(KIND_RULES, this.#rules(rules));
    const first = ++this.#count;
    const said: PortableBlock = {
      height: block.height,
      parent: block.parent.toString("hex"),
      gasLimit: block.budget,
      root: this.#number(block.root),
      metadata: block.metadata === null ? 0 : this.#number(block.metadata),
      rules: this.#number(block.rules, "rules"),
      change: block.change === null ? 0 : this.#number(block.change),
      genesis: { origin, entry, rules: first },
    };
    yield object(KIND_BLOCK, json(said));
  }

  /** All that the edge leads to and was not written yet, what is named before what names it. */
  *#reached(edge: Edge): Generator<Buffer> {
    const open: Open[] = [];
    const enter = (next: Edge): void => {
      if (this.#numbers.has(nameOf(next))) return;
      const stored = this.#database.object(next.key);
      if (stored === undefined || !isWhole(next, stored)) throw unreadable(next);
      open.push({ edge: next, stored, below: edgesOf(next, stored), next: 0 });
    };
    enter(edge);
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const below = top.below[top.next++];
      if (below !== undefined) {
        enter(below);
        continue;
      }
      open.pop();
      yield this.#written(top);
      this.#numbers.set(nameOf(top.edge), ++this.#count);
    }
  }

  #number(key: Buffer, wanted?: "rules"): number {
    const number = this.#numbers.get(nameOf({ key, wanted }));
    if (number === undefined) throw unreadable({ key });
    return number;
  }

  #written({ edge, stored, below }: Open): Buffer {
    switch (edge.wanted) {
      case "process":
        return object(KIND_PROCESS, this.#process(stored));
      case "memory":
      case "children":
        return object(KIND_NODE, this.#node(stored, below));
      case "rules":
        return object(KIND_RULES, this.#rules(decodeRules(hashedBytes(stored))));
      case "page":
        return object(KIND_PAGE, withoutZeros(hashedBytes(stored)));
      case "blob":
        return object(KIND_BLOB, hashedBytes(stored));
    }
  }

  #process({ bytes }: Stored): Buffer {
    const parts: Buffer[] = [];
    let at = RECORD_PREFIX_BYTES;
    for (const [, type] of HASHED_FIELDS) {
      const field = bytes.subarray(at, at + fieldBytes(type));
      at += field.length;
      if (type !== "hash") parts.push(field);
      else parts.push(u32(field.every((byte) => byte === 0) ? 0 : this.#number(field)));
    }
    return Buffer.concat(parts);
  }

  #node({ bytes }: Stored, below: readonly Edge[]): Buffer {
    const bitmap = bytes.subarray(NODE_PREFIX_BYTES - 4, NODE_PREFIX_BYTES);
    return Buffer.concat([bitmap, ...below.map(({ key }) => u32(this.#number(key)))]);
  }

  #rules(rules: ReturnType<typeof decodeRules>): Buffer {
    const programs = rules.programs.map((name) => this.#number(Buffer.from(name, "hex")));
    return json({ ...rules, programs });
  }
}

/** Rules are no blob here, though a blob may have their bytes, and hash. */
function nameOf({ key, wanted }: { readonly key: Buffer; readonly wanted?: string | undefined }): string {
  return (wanted === "rules" ? "rules " : "") + key.toString("latin1");
}

function chunkHead(number: number, objects: number): Buffer {
  return Buffer.concat([u32(PORTABLE_MAGIC), u32(number), u32(objects)]);
}

function object(kind: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(kind), u32(bytes.length), bytes]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function withoutZeros(page: Buffer): Buffer {
  let end = page.length;
  while (end > 0 && page[end - 1] === 0) end--;
  return page.subarray(0, end);
}

function unreadable({ key }: Pick<Edge, "key">): StoreError {
  const name = key.toString("hex");
  return new StoreError("STORE_CORRUPT", `the store is damaged: object ${name} cannot be read`, {
    hash: name,
  });
}
