/**
 * Reading portable exports (portable.ts draws them): every object is made as this build stores it, and named
 * by the hash that this build computes. Sums over children are added up here.
 *
 * What the file says is checked as far as it can be without the writer's hashes: checks of chunks, kinds and
 * shapes. Where the writer's hashes are of the same as this build's, the block must get the id that it had.
 *
 * An import that was interrupted starts again, because the meaning of numbers is not kept; objects that are
 * there are not written again.
 */

import { STATUS_ENDED } from "../../syscalls/abi.ts";
import { BadBytes } from "../image/bytes.ts";
import { fieldBytes } from "../image/record.ts";
import { encodeGenesis, encodeRules, type Rules } from "../image/rules.ts";
import { PAGE_BYTES } from "../limits.ts";
import type { Database } from "./database.ts";
import {
  DamagedObject,
  encodeBytes,
  hashedBytes,
  keyOf,
  type Stored,
  storedNode,
  storedProcess,
} from "./format.ts";
import { edgesOf, factsOf, rootEdge, type Sums, sumsAbove } from "./graph.ts";
import {
  CHECK_BYTES,
  CHUNK_HEAD_BYTES,
  checkOfChunk,
  FIELDS,
  type Head,
  IDENTITY,
  KIND_BLOB,
  KIND_BLOCK,
  KIND_HEAD,
  KIND_NODE,
  KIND_PAGE,
  KIND_PROCESS,
  KIND_RULES,
  OBJECT_BYTES,
  PORTABLE_MAGIC,
  PORTABLE_VERSION,
  type PortableBlock,
} from "./portable.ts";
import { type BlockRecord, packTotals } from "./record.ts";
import { readTotals } from "./state.ts";
import { refused } from "./transfer.ts";

/** As what an object may be named: of a node, which table it is of, and its level. */
type Kind = "page" | "blob" | "process" | "rules" | `${"memory" | "children"} ${number}`;

/** What is known of an object that was read. */
interface Read {
  readonly kind: Kind;
  readonly key: Buffer;
  /** What processes at or below it add to the sums of the one above. */
  readonly below: Below;
  readonly rules?: Rules;
}

/** Gas by the epoch of the parent in which it was given, as gas of another epoch is void. */
interface Below {
  readonly gas: ReadonlyMap<number, number>;
  readonly runnable: number;
}

const NOTHING: Below = { gas: new Map(), runnable: 0 };
const TOP_LEVEL = 3;
const HEX = /^[0-9a-f]{64}$/;

/** A block that was read whole, but for its id; `genesis`: what the id of its genesis is the hash of. */
export interface Rehashed {
  readonly genesis: Buffer;
  readonly block: Omit<BlockRecord, "id" | "sequence" | "pinned" | "stored" | "retained">;
}

/** Something in a chunk that no writer writes. */
class Malformed extends Error {}

function malformedUnless(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Malformed(what);
}

/** Takes the chunks of one portable export, in order. */
export class Rehash {
  readonly #database: Database;
  readonly head: Head;
  #check: Buffer;
  #next = 1;
  /** By their numbers; the first is 1. */
  #objects: Read[] = [];
  #block: PortableBlock | null = null;

  /** Begins with chunk 0. @throws StoreError (CHUNK_REFUSED) */
  constructor(database: Database, chunk: Buffer) {
    this.#database = database;
    this.#check = Buffer.alloc(CHECK_BYTES);
    this.#next = 0;
    const [first, ...more] = this.#objectsOf(chunk);
    this.head = this.#reading(() => {
      malformedUnless(first?.kind === KIND_HEAD && more.length === 0, "it has no head");
      return headIn(first.bytes);
    });
    this.#accept(chunk);
  }

  /** Whether this is a chunk of a portable export. */
  static isPortable(chunk: Buffer): boolean {
    return chunk.length >= CHUNK_HEAD_BYTES && chunk.readUInt32LE(0) === PORTABLE_MAGIC;
  }

  /** Whether the writer's hashes are of the same as this build's. */
  get isSame(): boolean {
    return this.head.identity === IDENTITY;
  }

  /** The number of the chunk that is to come next. */
  get next(): number {
    return this.#next;
  }

  /**
   * Checks a chunk and keeps its objects.
   *
   * @throws StoreError (CHUNK_REFUSED); nothing of the chunk is kept then
   */
  take(chunk: Buffer): void {
    const before = this.#objects.length;
    const objects = this.#objectsOf(chunk);
    try {
      this.#reading(() =>
        this.#database.transaction(() => {
          const totals = readTotals(this.#database);
          let { liveBytes } = totals;
          for (const { kind, bytes } of objects) liveBytes += this.#put(kind, bytes);
          this.#database.putMeta("totals", packTotals({ ...totals, liveBytes }));
        }),
      );
    } catch (error) {
      this.#objects = this.#objects.slice(0, before);
      this.#block = null;
      throw error;
    }
    this.#accept(chunk);
  }

  /** The block. @throws StoreError (CHUNK_REFUSED: it is not complete, or says what cannot be) */
  finish(): Rehashed {
    const said = this.#block;
    if (said === null) throw refused(this.#next, "it did not come", "Send it");
    const database = this.#database;
    return this.#reading(() => {
      const root = this.#named(said.root, "process").key;
      const stored = database.object(root) as Stored;
      const text = edgesOf(rootEdge(root, "process"), stored).find(({ name }) => name === "text");
      const data = text === undefined ? Buffer.alloc(0) : hashedBytes(database.object(text.key) as Stored);
      const { gasUsed, status } = factsOf(stored);
      const blob = (number: number): Buffer | null => (number === 0 ? null : this.#named(number, "blob").key);
      const { origin, entry, rules } = said.genesis;
      const first = this.#named(rules, "rules").rules as Rules;
      return {
        genesis: Buffer.from(encodeGenesis({ origin, entry, rules: first })),
        block: {
          height: said.height,
          parent: Buffer.from(said.parent, "hex"),
          root,
          data,
          metadata: blob(said.metadata),
          budget: said.gasLimit,
          gasUsed,
          ended: status === STATUS_ENDED,
          rules: this.#named(said.rules, "rules").key,
          change: blob(said.change),
        },
      };
    });
  }

  #reading<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof Malformed) throw refused(this.#next, error.message);
      if (error instanceof DamagedObject || error instanceof BadBytes || error instanceof RangeError)
        throw refused(this.#next, "an object of it has another shape than its kind");
      throw error;
    }
  }

  /** The objects of the chunk that comes next, whose check is right. */
  #objectsOf(chunk: Buffer): { readonly kind: number; readonly bytes: Buffer }[] {
    return this.#reading(() => {
      malformedUnless(chunk.length >= CHUNK_HEAD_BYTES + CHECK_BYTES, "it is cut off");
      malformedUnless(Rehash.isPortable(chunk), "it is no chunk of a portable export");
      const found = chunk.readUInt32LE(4);
      malformedUnless(found === this.#next, `chunk ${found} came in its place`);
      const end = chunk.length - CHECK_BYTES;
      const isWhole = checkOfChunk(this.#check, chunk.subarray(0, end)).equals(chunk.subarray(end));
      malformedUnless(isWhole, "it is damaged, or of another export than the chunks before");
      malformedUnless(this.#block === null, "the block was complete before it");
      const objects = [];
      let at = CHUNK_HEAD_BYTES;
      for (let left = chunk.readUInt32LE(8); left > 0; left--) {
        malformedUnless(at + OBJECT_BYTES <= end, "it has fewer objects than it says");
        const bytes = chunk.subarray(at + OBJECT_BYTES, at + OBJECT_BYTES + chunk.readUInt32LE(at + 1));
        objects.push({ kind: chunk[at] as number, bytes });
        at += OBJECT_BYTES + chunk.readUInt32LE(at + 1);
      }
      malformedUnless(at === end, "it has other objects than it says");
      return objects;
    });
  }

  #accept(chunk: Buffer): void {
    this.#check = Buffer.from(chunk.subarray(chunk.length - CHECK_BYTES));
    this.#next++;
  }

  #named(number: number, ...kinds: Kind[]): Read {
    const found = this.#objects[number - 1];
    // What is as long as a page may be both (format.ts).
    const fits =
      found !== undefined && (kinds.includes(found.kind) || (kinds[0] === "blob" && found.kind === "page"));
    malformedUnless(fits, `object ${number} is named as what it is not`);
    return found;
  }

  /** Keeps an object under the next number; the bytes that it takes. */
  #put(kind: number, bytes: Buffer): number {
    malformedUnless(this.#block === null, "an object comes after the block");
    switch (kind) {
      case KIND_PAGE:
        malformedUnless(bytes.length <= PAGE_BYTES, "a page of it is too long");
        return this.#keep("page", encodeBytes(pageOf(bytes), true));
      case KIND_BLOB:
        return this.#keep(bytes.length === PAGE_BYTES ? "page" : "blob", encodeBytes(bytes, false));
      case KIND_NODE:
        return this.#node(bytes);
      case KIND_PROCESS:
        return this.#process(bytes);
      case KIND_RULES: {
        const rules = this.#rulesIn(bytes);
        return this.#keep("rules", encodeBytes(Buffer.from(encodeRules(rules)), false), NOTHING, rules);
      }
      case KIND_BLOCK:
        this.#block = blockIn(bytes);
        return 0;
      default:
        throw new Malformed(`an object of it has kind ${kind}`);
    }
  }

  #node(bytes: Buffer): number {
    const bitmap = bytes.readUInt32LE(0);
    const numbers = wordsFrom(bytes, 4);
    malformedUnless(numbers.length > 0, "a node of it is empty");
    const first = this.#objects[(numbers[0] as number) - 1]?.kind ?? "blob";
    const children = numbers.map((number) => this.#named(number, first));
    const stored = storedNode(
      bitmap,
      children.map(({ key }) => key),
    );
    return this.#keep(kindAbove(first), stored, sumOf(children.map(({ below }) => below)));
  }

  #process(bytes: Buffer): number {
    const fields = new Map<string, Buffer>();
    const named = new Map<string, Read>();
    let at = 0;
    for (const [name, type] of this.head.fields) {
      const isHash = type === "hash";
      const field = bytes.subarray(at, at + (isHash ? 4 : fieldBytes(type as "u32" | "i64" | "gas")));
      at += field.length;
      if (!isHash) fields.set(name, field);
      else if (field.readUInt32LE(0) !== 0) named.set(name, this.#named(field.readUInt32LE(0), kindOf(name)));
    }
    malformedUnless(at === bytes.length, "a process of it has another length");
    for (const [name, { key }] of named) fields.set(name, key);
    const gasEpoch = Number(fields.get("gasEpoch")?.readBigInt64LE(0));
    const { gas, runnable } = named.get("children")?.below ?? NOTHING;
    const sums = { gas: gas.get(gasEpoch) ?? 0, runnable };
    const stored = storedProcess(fields, sums);
    return this.#keep("process", stored, belowOf(stored, sums));
  }

  #rulesIn(bytes: Buffer): Rules {
    const found = objectIn(bytes);
    const { programs } = found;
    malformedUnless(Array.isArray(programs), "rules of it have no programs");
    const names = programs.map((number) => this.#named(number, "blob").key.toString("hex"));
    const rules = { ...found, programs: names } as unknown as Rules;
    const { abi, costs, rewriter, constants } = rules;
    const texts = [costs, rewriter].every((text) => typeof text === "string");
    malformedUnless(texts && Number.isSafeInteger(abi) && HEX.test(constants), "rules of it cannot be read");
    const numbers = [rules.gasLimit, rules.heldGasQuota, rules.memoryQuotaPages, rules.processQuota];
    malformedUnless(numbers.every(isCount), "rules of it have quotas that are no numbers");
    return rules;
  }

  #keep(kind: Kind, stored: Stored, below = NOTHING, rules?: Rules): number {
    const key = keyOf(stored);
    this.#objects.push({ kind, key, below, ...(rules && { rules }) });
    return this.#database.putObject(key, stored);
  }
}

/** What a process adds to the sums of the one above it. */
function belowOf(stored: Stored, sums: Sums): Below {
  const facts = factsOf(stored);
  const { gas, runnable } = sumsAbove(facts, sums);
  if (gas === 0 && runnable === 0) return NOTHING;
  return { gas: new Map([[facts.parentGasEpoch, gas]]), runnable };
}

function sumOf(all: readonly Below[]): Below {
  const some = all.filter((one) => one !== NOTHING);
  if (some.length <= 1) return some[0] ?? NOTHING;
  const gas = new Map<number, number>();
  for (const one of some) {
    for (const [epoch, amount] of one.gas) gas.set(epoch, (gas.get(epoch) ?? 0) + amount);
  }
  return { gas, runnable: some.reduce((sum, { runnable }) => sum + runnable, 0) };
}

/** What a field of a process names. */
function kindOf(field: string): Kind {
  if (field === "memory" || field === "children") return `${field} ${TOP_LEVEL}`;
  return field === "reference" ? "process" : "blob";
}

/** What a node is whose children are of this kind. */
function kindAbove(kind: Kind): Kind {
  if (kind === "page") return "memory 0";
  if (kind === "process") return "children 0";
  const [table, level] = kind.split(" ") as ["memory" | "children", string | undefined];
  malformedUnless(level !== undefined && Number(level) < TOP_LEVEL, "a node of it names what no table has");
  return `${table} ${Number(level) + 1}`;
}

function headIn(bytes: Buffer): Head {
  const head = objectIn(bytes) as unknown as Head;
  malformedUnless(head.format === "stillpoint portable export", "its head is of something else");
  malformedUnless(
    head.version === PORTABLE_VERSION,
    `it has version ${head.version} of the format, this build reads version ${PORTABLE_VERSION}`,
  );
  const hashes = [head.id, head.root, head.genesis].every((hex) => HEX.test(hex));
  malformedUnless(hashes && isCount(head.height) && Array.isArray(head.fields), "its head cannot be read");
  const known = new Map(FIELDS);
  const others = head.fields.filter(([name, type]) => known.get(name) !== type).map(([name]) => name);
  const missing = FIELDS.map(([name]) => name).filter((name) => !head.fields.some(([one]) => one === name));
  malformedUnless(
    others.length + missing.length === 0 && head.fields.length === FIELDS.length,
    `processes have other fields than in this build: ${[...others, ...missing].join(", ")}`,
  );
  return head;
}

function blockIn(bytes: Buffer): PortableBlock {
  const block = objectIn(bytes) as unknown as PortableBlock;
  const { height, parent, gasLimit, root, metadata, rules, change, genesis } = block;
  const counts = [height, gasLimit, root, metadata, rules, change, genesis?.rules].every(isCount);
  const isGenesis =
    typeof genesis?.entry === "string" && (genesis.origin === null || HEX.test(genesis.origin));
  malformedUnless(counts && isGenesis && HEX.test(parent), "its block cannot be read");
  return block;
}

/** An object in JSON. */
function objectIn(bytes: Buffer): Readonly<Record<string, unknown>> {
  let found: unknown;
  try {
    found = JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new Malformed("a text of it is no JSON");
  }
  malformedUnless(typeof found === "object" && found !== null, "a text of it is no object");
  return found as Record<string, unknown>;
}

/** A page that has these bytes, and zeros behind them. */
function pageOf(bytes: Buffer): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  bytes.copy(page);
  return page;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function wordsFrom(bytes: Buffer, from: number): number[] {
  malformedUnless(bytes.length >= from && bytes.length % 4 === 0, "a node of it has another length");
  return Array.from({ length: (bytes.length - from) / 4 }, (_, i) => bytes.readUInt32LE(from + 4 * i));
}
