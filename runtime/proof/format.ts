/**
 * The format of a proof, and its check. A proof shows one statement about the tree below a root hash: which
 * bytes a process has at an address, or that there is no such process, or no such memory.
 *
 *   proof     u8 PROOF_KIND · u8 PROOF_VERSION · u8 length of the path · u8 zero · u32 numbers of the path ·
 *             u64 address · u64 length · the root's process
 *   process   u16 which of the record's hashes are present, in the order of image/record.ts · the record's
 *             fields in that order, absent hashes left out, opened ones replaced by the table they name
 *   table     u32 bitmap of the children that are present · for each of them, ascending: if an index wanted
 *             lies in it the child itself (a table, at the fourth level a process or a page), else its hash
 *   page      4096 bytes
 *
 * Little-endian. Opened is what the statement needs and nothing else: the table of children along the path,
 * and in the process it leads to the memory, if the range is not empty and inside. So there is exactly one
 * proof of a statement, and all that can be computed is left out of it. If the path leads nowhere, address
 * and length are zero. The version says how things are hashed as well (HASH_VERSION).
 *
 * Gas of a runnable process is void if on the way to it the parentGasEpoch of a process is not the gasEpoch
 * of the one above: the statement then has a process with gas 0.
 *
 * The check reads the proof once from start to end, hashing on the way back up; it takes time and space in
 * proportion to the proof, whatever the proof says, and bytes are laid out only once the root is right.
 */

import { StillpointError } from "../errors.ts";
import {
  decodeRecord,
  fieldBytes,
  HASH_BYTES,
  HASH_NODE,
  HASH_PROCESS,
  HASH_VERSION,
  HASHED_FIELDS,
  type HashedRecord,
  NODE_PREFIX_BYTES,
  RECORD_BYTES,
  RECORD_PREFIX_BYTES,
} from "../image/record.ts";
import { joined } from "../u64.ts";
import { PAGE_BYTES, PAGES_PER_WASM_PAGE, TABLE_LIMIT, TOP_SHIFT } from "../units.ts";

export const PROOF_KIND = 0x50;
export const PROOF_VERSION = 3;
export const PATH_LIMIT = 255;
const HASH_FIELDS = HASHED_FIELDS.filter(([, type]) => type === "hash").length;

/** What is wrong with a proof. */
export type ProofDefect =
  | "truncated"
  | "trailing-bytes"
  | "unknown-version"
  | "bad-path"
  | "bad-range"
  | "not-canonical"
  | "too-long"
  | "wrong-root"
  | "wrong-id";

/** A proof that shows nothing. `facts.reason` says why; `facts.offset` where in the proof it was noticed. */
export class ProofError extends StillpointError {
  readonly reason: ProofDefect;

  constructor(reason: ProofDefect, offset: number, text: string) {
    super("BAD_PROOF", `the proof is refused: ${text}`, { reason, offset });
    this.reason = reason;
  }
}

/** A process has these bytes at this address. */
export interface BytesStatement {
  readonly absent: null;
  readonly path: readonly number[];
  readonly address: number;
  readonly bytes: Uint8Array;
  /** The process at the path. */
  readonly process: HashedRecord;
}

/** The range does not lie inside the memory of the process. */
export interface NoMemoryStatement {
  readonly absent: "memory";
  readonly path: readonly number[];
  readonly address: number;
  readonly length: number;
  /** The process at the path; its `memoryPages` say how much there is. */
  readonly process: HashedRecord;
}

/** There is no process at the path. */
export interface NoProcessStatement {
  readonly absent: "process";
  readonly path: readonly number[];
  /** The shortest prefix of the path that names no process. */
  readonly missing: readonly number[];
}

/** What a proof shows. */
export type Statement = BytesStatement | NoMemoryStatement | NoProcessStatement;

/** SHA-256. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

/** Whether a range lies in a memory of so many pages of 64 KiB. */
export function isInside(address: number, length: number, memoryPages: number): boolean {
  return address + length <= memoryPages * PAGES_PER_WASM_PAGE * PAGE_BYTES;
}

/** What `proof` shows about the tree whose root hash is `root`, with SHA-256 by `sha256`. */
export function check(sha256: Sha256, root: Uint8Array, proof: Uint8Array, lengthLimit: number): Statement {
  return new Check(sha256, proof).run(root, lengthLimit);
}

class Check {
  readonly #sha256: Sha256;
  readonly #proof: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #path: number[] = [];
  #address = 0;
  #length = 0;
  /** Length of the shortest prefix of the path that names no process; 0 if all do. */
  #missing = 0;
  /** Gas of the process at the path, and of all below it, was voided above it. */
  #void = false;
  #record: Uint8Array = new Uint8Array();
  /** Page numbers and where their bytes begin in the proof. */
  readonly #pages: [page: number, offset: number][] = [];

  constructor(sha256: Sha256, proof: Uint8Array) {
    this.#sha256 = sha256;
    this.#proof = proof;
    this.#view = new DataView(proof.buffer, proof.byteOffset, proof.byteLength);
  }

  run(root: Uint8Array, lengthLimit: number): Statement {
    this.#header();
    const hash = this.#process(0, null);
    if (this.#at !== this.#proof.length) {
      throw this.#defect("trailing-bytes", `it ends before the last ${this.#proof.length - this.#at} bytes`);
    }
    if (hash.some((byte, i) => byte !== root[i])) {
      throw this.#defect("wrong-root", "it does not lead to this root");
    }
    return this.#statement(lengthLimit);
  }

  #statement(lengthLimit: number): Statement {
    const path = this.#path;
    const address = this.#address;
    const length = this.#length;
    if (this.#missing > 0) {
      if (address !== 0 || length !== 0) throw this.#defect("not-canonical", "a range of no process");
      return { absent: "process", path, missing: path.slice(0, this.#missing) };
    }
    const record = decodeRecord(this.#record);
    const process = this.#void ? { ...record, gas: 0 } : record;
    if (!isInside(address, length, process.memoryPages)) {
      return { absent: "memory", path, address, length, process };
    }
    if (length > lengthLimit) {
      const text = `its range of ${length} bytes is longer than ${lengthLimit}: raise "lengthLimit"`;
      throw this.#defect("too-long", text);
    }
    const bytes = new Uint8Array(length);
    for (const [page, offset] of this.#pages) {
      const start = page * PAGE_BYTES;
      const from = Math.max(start, address);
      const to = Math.min(start + PAGE_BYTES, address + length);
      bytes.set(this.#proof.subarray(offset + from - start, offset + to - start), from - address);
    }
    return { absent: null, path, address, bytes, process };
  }

  #header(): void {
    const [kind, version, pathLength, zero] = this.#take(4) as unknown as [number, number, number, number];
    if (kind !== PROOF_KIND || version !== PROOF_VERSION || zero !== 0) {
      throw this.#defect("unknown-version", `it does not begin as one of version ${PROOF_VERSION}`);
    }
    for (let i = 0; i < pathLength; i++) {
      const number = this.#u32();
      if (number >= TABLE_LIMIT) throw this.#defect("bad-path", `${number} is no number of a child`);
      this.#path.push(number);
    }
    this.#address = this.#u64();
    this.#length = this.#u64();
    if (!Number.isSafeInteger(this.#address + this.#length)) {
      throw this.#defect("bad-range", "the end of the range is not a safe integer");
    }
  }

  /** The hash of a process, `depth` steps along the path, below one of this epoch. */
  #process(depth: number, aboveEpoch: number | null): Uint8Array {
    const present = this.#u16();
    if (present >>> HASH_FIELDS !== 0) throw this.#defect("not-canonical", "a hash that no record has");
    const record = new Uint8Array(RECORD_BYTES);
    record.set([HASH_PROCESS, HASH_VERSION]);
    const isTarget = depth === this.#path.length;
    let at = RECORD_PREFIX_BYTES;
    let hashes = 0;
    let memoryPages = 0;
    let gasEpoch = 0;
    for (const [name, type] of HASHED_FIELDS) {
      const size = fieldBytes(type);
      if (type !== "hash") {
        record.set(this.#take(size), at);
        if (name === "memoryPages") memoryPages = this.#view.getUint32(this.#at - 4, true);
        if (name === "gasEpoch") gasEpoch = this.#epoch();
        if (name === "parentGasEpoch" && aboveEpoch !== null && aboveEpoch !== this.#epoch()) {
          this.#void = true;
        }
      } else if ((present & (1 << hashes++)) !== 0) {
        if (name === "memory" && isTarget) record.set(this.#memory(memoryPages), at);
        else if (name === "children" && !isTarget) record.set(this.#child(depth, gasEpoch), at);
        else record.set(this.#hash(), at);
      } else if (name === "children" && !isTarget) {
        this.#missing = depth + 1;
      }
      at += size;
    }
    if (isTarget) this.#record = record;
    return this.#sha256(record);
  }

  #memory(memoryPages: number): Uint8Array {
    const address = this.#address;
    const length = this.#length;
    if (length === 0 || !isInside(address, length, memoryPages)) return this.#hash();
    const first = Math.floor(address / PAGE_BYTES);
    const last = Math.floor((address + length - 1) / PAGE_BYTES);
    if (last >= TABLE_LIMIT) throw this.#defect("bad-range", "the range exceeds what a memory can be");
    return this.#table(TOP_SHIFT, 0, first, last, (page) => {
      this.#pages.push([page, this.#at]);
      return this.#sha256(this.#take(PAGE_BYTES));
    });
  }

  /** The epoch that was read last. */
  #epoch(): number {
    return Number(this.#view.getBigInt64(this.#at - 8, true));
  }

  #child(depth: number, gasEpoch: number): Uint8Array {
    const number = this.#path[depth] as number;
    this.#missing = depth + 1;
    return this.#table(TOP_SHIFT, 0, number, number, () => {
      this.#missing = 0;
      return this.#process(depth + 1, gasEpoch);
    });
  }

  /** The hash of the table's node at `prefix`, with the leaves `first` to `last` opened by `leaf`. */
  #table(
    shift: number,
    prefix: number,
    first: number,
    last: number,
    leaf: (index: number) => Uint8Array,
  ): Uint8Array {
    const bitmap = this.#u32();
    if (bitmap === 0) throw this.#defect("not-canonical", "a table without leaves");
    const hashes: Uint8Array[] = [];
    for (let position = 0; position < 32; position++) {
      if (((bitmap >>> position) & 1) === 0) continue;
      const from = prefix + position * 2 ** shift;
      const to = from + 2 ** shift - 1;
      if (to < first || from > last) hashes.push(this.#hash());
      else if (shift === 0) hashes.push(leaf(from));
      else hashes.push(this.#table(shift - 5, from, first, last, leaf));
    }
    const node = new Uint8Array(NODE_PREFIX_BYTES + hashes.length * HASH_BYTES);
    node.set([HASH_NODE, HASH_VERSION]);
    new DataView(node.buffer).setUint32(4, bitmap, true);
    hashes.forEach((hash, i) => {
      node.set(hash, NODE_PREFIX_BYTES + i * HASH_BYTES);
    });
    return this.#sha256(node);
  }

  #hash(): Uint8Array {
    const hash = this.#take(HASH_BYTES);
    if (hash.every((byte) => byte === 0)) throw this.#defect("not-canonical", "the hash of nothing");
    return hash;
  }

  #u16(): number {
    this.#take(2);
    return this.#view.getUint16(this.#at - 2, true);
  }

  #u32(): number {
    this.#take(4);
    return this.#view.getUint32(this.#at - 4, true);
  }

  #u64(): number {
    const low = this.#u32();
    return joined(low, this.#u32());
  }

  #take(length: number): Uint8Array {
    const from = this.#at;
    if (from + length > this.#proof.length) {
      throw this.#defect("truncated", `${length} bytes are missing at ${from} of ${this.#proof.length}`);
    }
    this.#at = from + length;
    return this.#proof.subarray(from, this.#at);
  }

  #defect(reason: ProofDefect, text: string): ProofError {
    return new ProofError(reason, this.#at, text);
  }
}
