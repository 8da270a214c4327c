/**
 * Rules: what all replicas must share to compute the same states, as a value. Those in force in a block are
 * in its header by their hash; a block's input may change them.
 *
 *   rules   u8 HASH_RULES · u8 RULES_VERSION · u32 ABI version · text cost table · text rewriter ·
 *           constants (32 bytes) · u64 gas limit · u64 held-gas quota · u32 memory quota, pages of 4 KiB ·
 *           u32 process quota · u32 number of programs · their names (32 bytes each), in order
 *
 * Written as image/bytes.ts says. The hash is the SHA-256 of these bytes, so rules lie in heap and store as a
 * BLOB of their own, and the programs as those that they name.
 */

import { bytesOf, hexOf } from "../text.ts";
import { BadBytes, ByteReader, ByteWriter } from "./bytes.ts";
import { HASH_BYTES, HASH_GENESIS, HASH_RULES, HEADER_VERSION, hashHex } from "./record.ts";

export const RULES_VERSION = 1;

/** The rules that are in force in a block. Equal on all replicas. */
export interface Rules {
  /**
   * Names of the programs of which any process may be made, in hex: the SHA-256 of their Wasm bytes. The
   * first is the one that the root was made of at genesis; programs are added at the end, and stay.
   */
  readonly programs: readonly string[];
  /** Ceiling of the gas of a block. */
  readonly gasLimit: number;
  /** Memory of all processes together, in pages of 4 KiB. */
  readonly memoryQuotaPages: number;
  /** Gas that processes left running at the end of a block may still hold. */
  readonly heldGasQuota: number;
  /** Number of processes below the root. */
  readonly processQuota: number;
  /** Version of the table of what things cost. */
  readonly costs: string;
  /** Version of what programs are instrumented with; saved stacks mean something to it alone. */
  readonly rewriter: string;
  /** Version of the system calls. */
  readonly abi: number;
  /** SHA-256 of all prices and limits that these versions stand for, in hex. */
  readonly constants: string;
}

/**
 * Rules as bytes. Their SHA-256 is the hash of rules that a header names: a client with an id and these bytes
 * knows them.
 *
 * @example
 * ```ts
 * const hash = programHash(encodeRules(runtime.rules())); // SHA-256
 * const { rules } = verifyHeader(runtime.head.id, runtime.blockHeader());
 * console.log(rules === Buffer.from(hash).toString("hex")); // true
 * ```
 */
export function encodeRules(rules: Rules): Uint8Array {
  const { programs, gasLimit, heldGasQuota, memoryQuotaPages, processQuota } = rules;
  const writer = new ByteWriter().u8(HASH_RULES).u8(RULES_VERSION).u32(rules.abi);
  writer.text(rules.costs).text(rules.rewriter).raw(bytesOf(rules.constants));
  writer.u64(gasLimit).u64(heldGasQuota).u32(memoryQuotaPages).u32(processQuota).u32(programs.length);
  for (const name of programs) writer.raw(bytesOf(name));
  return writer.done();
}

/** @throws BadBytes */
export function decodeRules(bytes: Uint8Array): Rules {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== HASH_RULES || reader.u8() !== RULES_VERSION)
    throw new BadBytes("other than rules of this version", 0);
  const abi = reader.u32();
  const [costs, rewriter] = [reader.text(), reader.text()] as const;
  const constants = hexOf(reader.raw(HASH_BYTES));
  const [gasLimit, heldGasQuota] = [reader.u64(), reader.u64()] as const;
  const [memoryQuotaPages, processQuota] = [reader.u32(), reader.u32()] as const;
  const programs = Array.from({ length: reader.u32() }, () => hexOf(reader.raw(HASH_BYTES)));
  reader.end();
  return {
    programs,
    gasLimit,
    memoryQuotaPages,
    heldGasQuota,
    processQuota,
    costs,
    rewriter,
    abi,
    constants,
  };
}

/** What a chain begins with. */
export interface GenesisFields {
  /** Id of the block of another chain whose state it begins with, in hex; null: it begins with its root. */
  readonly origin: string | null;
  /** The root's entry. */
  readonly entry: string;
  readonly rules: Rules;
}

/**
 * What the id of a genesis is the SHA-256 of:
 *
 *   genesis   u8 HASH_GENESIS · u8 HEADER_VERSION · origin (32 bytes, zeros: none) · text entry · bytes rules
 */
export function encodeGenesis({ origin, entry, rules }: GenesisFields): Uint8Array {
  const writer = new ByteWriter().u8(HASH_GENESIS).u8(HEADER_VERSION);
  writer.raw(origin === null ? new Uint8Array(HASH_BYTES) : bytesOf(origin)).text(entry);
  return writer.bytes(encodeRules(rules)).done();
}

/** @throws BadBytes */
export function decodeGenesis(bytes: Uint8Array): GenesisFields {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== HASH_GENESIS || reader.u8() !== HEADER_VERSION) {
    throw new BadBytes("other than a genesis of this version", 0);
  }
  const origin = hashHex(reader.raw(HASH_BYTES));
  const entry = reader.text();
  const rules = decodeRules(reader.bytes());
  reader.end();
  return { origin, entry, rules };
}
