/**
 * What stored objects name, and as what: records name tables, tables name pages or records, rules programs.
 */

import { STATUS_RUNNABLE } from "../../syscalls/abi.ts";
import { BadBytes } from "../image/bytes.ts";
import {
  fieldBytes,
  HASH_BYTES,
  HASHED_FIELDS,
  NODE_PREFIX_BYTES,
  RECORD_PREFIX_BYTES,
} from "../image/record.ts";
import { decodeRules } from "../image/rules.ts";
import { TOP_SHIFT } from "../units.ts";
import {
  checkObject,
  DamagedObject,
  hashedBytes,
  type Stored,
  TAG_BLOB,
  TAG_BLOB_RUNS,
  TAG_NODE,
  TAG_PAGE,
  TAG_PAGE_RUNS,
  TAG_PROCESS,
} from "./format.ts";
import type { BlockRecord } from "./record.ts";

/** As what an object is named: of a table, what its leaves are. */
export type Wanted = "process" | "memory" | "children" | "page" | "blob" | "rules";

/** A name that an object gives to another. */
export interface Edge {
  readonly key: Buffer;
  readonly wanted: Wanted;
  /** Of a table's node: the bits of an index below its own position. */
  readonly shift: number;
  /** Which of the object's names it is: a position, or a field. */
  readonly name: number | string;
}

const TAGS: Readonly<Record<Wanted, readonly number[]>> = {
  process: [TAG_PROCESS],
  memory: [TAG_NODE],
  children: [TAG_NODE],
  page: [TAG_PAGE, TAG_PAGE_RUNS],
  blob: [TAG_BLOB, TAG_BLOB_RUNS, TAG_PAGE, TAG_PAGE_RUNS],
  rules: [TAG_BLOB, TAG_BLOB_RUNS, TAG_PAGE, TAG_PAGE_RUNS],
};

/** The root of a tree, rules, or a blob that nothing else names. */
export function rootEdge(key: Buffer, wanted: "process" | "blob" | "rules"): Edge {
  return { key, wanted, shift: 0, name: "" };
}

/** Whether the object is what it is named as, byte for byte. */
export function isWhole({ key, wanted }: Edge, stored: Stored): boolean {
  if (!TAGS[wanted].includes(stored.tag)) return false;
  try {
    checkObject(key, stored);
    if (wanted === "rules") programsOf(hashedBytes(stored));
    return true;
  } catch (error) {
    if (error instanceof DamagedObject || error instanceof BadBytes) return false;
    throw error;
  }
}

/** What the object names, in its own order. */
export function edgesOf({ wanted, shift }: Edge, stored: Stored): Edge[] {
  const { bytes } = stored;
  if (wanted === "process") return fieldsOf(bytes);
  if (wanted === "rules") return programsOf(hashedBytes(stored));
  if (wanted !== "memory" && wanted !== "children") return [];
  const edges: Edge[] = [];
  const bitmap = bytes.readUInt32LE(4);
  let at = NODE_PREFIX_BYTES;
  for (let position = 0; position < 32; position++) {
    if (((bitmap >>> position) & 1) === 0) continue;
    const key = Buffer.from(bytes.subarray(at, at + HASH_BYTES));
    at += HASH_BYTES;
    if (shift > 0) edges.push({ key, wanted, shift: shift - 5, name: position });
    else edges.push({ key, wanted: wanted === "memory" ? "page" : "process", shift: 0, name: position });
  }
  return edges;
}

/** What a block names besides its root. */
export function inputEdges({ metadata, change, rules }: BlockRecord): Edge[] {
  const blobs = [metadata, change].flatMap((key) => (key === null ? [] : [rootEdge(key, "blob")]));
  return [...blobs, rootEdge(rules, "rules")];
}

/** The programs that rules name. */
function programsOf(bytes: Buffer): Edge[] {
  const { programs } = decodeRules(bytes);
  return programs.map((name, i) => ({ key: Buffer.from(name, "hex"), wanted: "blob", shift: 0, name: i }));
}

function fieldsOf(bytes: Buffer): Edge[] {
  const edges: Edge[] = [];
  let at = RECORD_PREFIX_BYTES;
  for (const [name, type] of HASHED_FIELDS) {
    const field = bytes.subarray(at, at + fieldBytes(type));
    at += field.length;
    if (type !== "hash" || field.every((byte) => byte === 0)) continue;
    const key = Buffer.from(field);
    if (name === "memory" || name === "children") edges.push({ key, wanted: name, shift: TOP_SHIFT, name });
    else edges.push({ key, wanted: name === "reference" ? "process" : "blob", shift: 0, name });
  }
  return edges;
}

/** What a process record says beside its names. */
export interface RecordFacts {
  readonly status: number;
  readonly gas: number;
  readonly gasUsed: number;
  readonly gasEpoch: number;
  readonly parentGasEpoch: number;
}

export function factsOf({ bytes }: Stored): RecordFacts {
  const facts: Record<string, number> = {};
  let at = RECORD_PREFIX_BYTES;
  for (const [name, type] of HASHED_FIELDS) {
    if (name === "status") facts.status = bytes.readUInt32LE(at);
    if (type === "gas") facts[name] = Number(bytes.readBigInt64LE(at));
    at += fieldBytes(type);
  }
  return facts as unknown as RecordFacts;
}

/** What a subtree adds to the sums of the processes above it, unless its gas is void. */
export interface Sums {
  readonly gas: number;
  readonly runnable: number;
}

/** The sums above a process that holds `below` and is itself as `facts` says. */
export function sumsAbove({ status, gas }: RecordFacts, below: Sums): Sums {
  const runnable = status === STATUS_RUNNABLE;
  return { gas: below.gas + (runnable ? gas : 0), runnable: below.runnable + (runnable ? 1 : 0) };
}
