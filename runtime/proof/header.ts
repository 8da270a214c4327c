/**
 * Headers: a block's id is the SHA-256 of its header. So a verifier that knows an id, from a vote or a chain
 * of parents, is led to the root, the data, the metadata and the rules of the block by 242 bytes.
 *
 *   header    u8 HASH_BLOCK · u8 HEADER_VERSION · genesis · u64 height · u64 gas limit · parent · root ·
 *             SHA-256 of the data · SHA-256 of the metadata · hash of the rules in force ·
 *             SHA-256 of what the block changed of them, zeros: nothing
 *
 * Little-endian; all but the numbers are 32 bytes.
 */

import { HASH_BLOCK, HASH_BYTES, HEADER_VERSION } from "../image/record.ts";
import { ProofError, type Sha256 } from "./format.ts";

export const HEADER_BYTES = 2 + 16 + 7 * HASH_BYTES;

/** The fields of a header. */
export interface HeaderFields {
  readonly genesis: Uint8Array;
  readonly height: number;
  readonly gasLimit: number;
  readonly parent: Uint8Array;
  readonly root: Uint8Array;
  readonly dataHash: Uint8Array;
  readonly metadataHash: Uint8Array;
  readonly rules: Uint8Array;
  readonly change: Uint8Array;
}

/** What a header says of the block with its id; hashes in hex. */
export interface HeaderStatement {
  /** Id of the genesis: programs and rules. */
  readonly genesis: string;
  readonly height: number;
  readonly gasLimit: number;
  /** Id of the block before; the genesis id for block 0. */
  readonly parent: string;
  /** Root of the tree of processes: what `verify` takes. */
  readonly root: string;
  readonly dataHash: string;
  readonly metadataHash: string;
  /** Hash of the rules in force in the block. */
  readonly rules: string;
  /** Hash of what the block changed of the rules, before it ran; zeros: nothing. */
  readonly change: string;
}

export function encodeHeader(fields: HeaderFields): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set([HASH_BLOCK, HEADER_VERSION]);
  bytes.set(fields.genesis, 2);
  let at = 2 + HASH_BYTES;
  for (const number of [fields.height, fields.gasLimit]) {
    view.setBigUint64(at, BigInt(number), true);
    at += 8;
  }
  const { parent, root, dataHash, metadataHash, rules, change } = fields;
  for (const hash of [parent, root, dataHash, metadataHash, rules, change]) {
    bytes.set(hash, at);
    at += HASH_BYTES;
  }
  return bytes;
}

/** @throws ProofError (BAD_PROOF) */
export function checkHeader(sha256: Sha256, id: Uint8Array, header: Uint8Array): HeaderStatement {
  const { length } = header;
  if (length < HEADER_BYTES) throw new ProofError("truncated", length, `a header has ${HEADER_BYTES} bytes`);
  if (length > HEADER_BYTES) throw new ProofError("trailing-bytes", HEADER_BYTES, "bytes behind the header");
  if (header[0] !== HASH_BLOCK || header[1] !== HEADER_VERSION) {
    throw new ProofError("unknown-version", 0, "it does not begin like a header of this version");
  }
  const hash = sha256(header);
  if (hash.some((byte, i) => byte !== id[i])) {
    throw new ProofError("wrong-id", 0, "it is not the header of the block with this id");
  }
  const view = new DataView(header.buffer, header.byteOffset, length);
  const hex = (at: number): string =>
    Array.from(header.subarray(at, at + HASH_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const numbers = 2 + HASH_BYTES;
  const hashes = numbers + 16;
  return {
    genesis: hex(2),
    height: Number(view.getBigUint64(numbers, true)),
    gasLimit: Number(view.getBigUint64(numbers + 8, true)),
    parent: hex(hashes),
    root: hex(hashes + HASH_BYTES),
    dataHash: hex(hashes + 2 * HASH_BYTES),
    metadataHash: hex(hashes + 3 * HASH_BYTES),
    rules: hex(hashes + 4 * HASH_BYTES),
    change: hex(hashes + 5 * HASH_BYTES),
  };
}
