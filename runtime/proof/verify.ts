/**
 * `stillpoint/proof`: verifying proofs anywhere, browsers included. Imports @noble/hashes and files that
 * import nothing else; needs no global but those of the language.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { badArgument } from "../arguments.ts";
import { check, type Sha256, type Statement } from "./format.ts";
import { checkHeader, type HeaderStatement } from "./header.ts";

export { UsageError } from "../errors.ts";
export type { HashedRecord } from "../image/record.ts";
export {
  type BytesStatement,
  type NoMemoryStatement,
  type NoProcessStatement,
  type ProofDefect,
  ProofError,
  type Statement,
} from "./format.ts";

export type { HeaderStatement } from "./header.ts";

/** Options of `verify`. */
export interface VerifyOptions {
  /** Longest range accepted, in bytes. A range of zeros is long in a short proof. Default 2^28. */
  readonly lengthLimit?: number;
}

const LENGTH_LIMIT = 2 ** 28;

/**
 * What `proof` shows about the tree of processes whose root hash is `root` (32 bytes, or in hex), that of a
 * block. The answer is true of that tree, unless SHA-256 is broken; whether it answers your question, compare
 * path, address and length.
 *
 * Idea: a hash tree (Merkle, 1979) over page tables and process records.
 *
 * @throws ProofError (BAD_PROOF, with a `reason`); UsageError (BAD_ARGUMENT)
 * @example
 * ```ts
 * const { root } = runtime.head;
 * const statement = verify(root, runtime.prove([], 1024, 8));
 * if (statement.absent === null) console.log(statement.address, statement.bytes);
 * ```
 */
export function verify(root: string | Uint8Array, proof: Uint8Array, options: VerifyOptions = {}): Statement {
  return verifyBy(sha256, root, proof, options);
}

/**
 * `verify` with another implementation of SHA-256: a function of bytes that gives 32 bytes.
 *
 * @throws as `verify`
 * @example
 * ```ts
 * const { createHash } = await import("node:crypto");
 * const sha256 = (bytes) => createHash("sha256").update(bytes).digest();
 * const statement = verifyBy(sha256, runtime.head.root, runtime.prove([], 0, 8));
 * console.log(statement.bytes.length); // 8
 * ```
 */
export function verifyBy(
  sha256: Sha256,
  root: string | Uint8Array,
  proof: Uint8Array,
  options: VerifyOptions = {},
): Statement {
  const { lengthLimit = LENGTH_LIMIT } = options ?? {};
  if (!(proof instanceof Uint8Array)) throw badArgument("proof", proof, "a Uint8Array");
  if (!(Number.isSafeInteger(lengthLimit) && lengthLimit >= 0)) {
    throw badArgument("lengthLimit", lengthLimit, "a number of bytes");
  }
  return check(sha256, hashBytes("root", root), proof, lengthLimit);
}

/**
 * What `header`, which `blockHeader` gives, says of the block with this id (32 bytes, or in hex): genesis,
 * height, parent and root, and the hashes of its data and metadata. With the root `verify` shows bytes of the
 * state.
 *
 * @throws ProofError (BAD_PROOF, with a `reason`); UsageError (BAD_ARGUMENT)
 * @example
 * ```ts
 * const { id } = runtime.head; // from a vote, say
 * const { height, root } = verifyHeader(id, runtime.blockHeader());
 * console.log(height, verify(root, runtime.prove([], 1024, 8)).absent === null); // 0 true
 * ```
 */
export function verifyHeader(id: string | Uint8Array, header: Uint8Array): HeaderStatement {
  if (!(header instanceof Uint8Array)) throw badArgument("header", header, "a Uint8Array");
  return checkHeader(sha256, hashBytes("id", id), header);
}

function hashBytes(name: string, hash: string | Uint8Array): Uint8Array {
  if (hash instanceof Uint8Array && hash.length === 32) return hash;
  if (typeof hash !== "string" || !/^[0-9a-f]{64}$/i.test(hash)) {
    throw badArgument(name, hash, "a hash: 32 bytes, or 64 digits in hex");
  }
  return Uint8Array.from({ length: 32 }, (_, i) => Number.parseInt(hash.slice(2 * i, 2 * i + 2), 16));
}
