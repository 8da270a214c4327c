/** A proof of bytes of a process, which the page verifies itself: the server is not believed. */

import type { Query } from "../query.ts";
import type { Source } from "../source.ts";

const LENGTH = 64;
/** So that a proof of scattered pages stays far below what an answer may have. */
const LENGTH_MAX = 32 << 10;

export interface ProofView {
  readonly id: string;
  readonly height: number;
  readonly path: readonly number[];
  readonly address: number;
  readonly length: number;
  /** The header, whose SHA-256 is the id, and the proof; in hex. */
  readonly header: string;
  readonly proof: string;
}

export function proofView(source: Source, query: Query): ProofView {
  const { chain } = source;
  const block = source.block(query.id());
  const path = query.path();
  const address = query.integer("address", 0, 0, 2 ** 33);
  const length = query.integer("length", LENGTH, 0, LENGTH_MAX);
  return {
    ...{ id: block.id, height: block.height, path, address, length },
    header: Buffer.from(chain.blockHeader(block)).toString("hex"),
    proof: Buffer.from(chain.prove(path, address, length, block)).toString("hex"),
  };
}
