/**
 * Reads that prove themselves. An account is looked up here as by anybody who has the memory of the bank's
 * process; what that reads is written down and proven. A client that knows the id of the block looks the
 * account up in the proven bytes, by the same code, and need not trust the node: not for what is there, nor
 * for what is not.
 *
 * It reads any chain: of the node, or of a reader of its store in another process.
 */

import { type StateView, stateOf } from "../../runtime/app/index.ts";
import { type Block, type Chain, type MemoryRange, verify, verifyHeader } from "../../runtime/index.ts";
import type { Address } from "./bank.ts";

/** What an account holds. */
export interface Account {
  readonly balance: bigint;
  /** Number of its last payment. */
  readonly sequence: bigint;
}

/** An account, and what shows that it is so. All but numbers in hex. */
export interface ProvenAccount {
  readonly address: Address;
  /** The block at whose end it is so. */
  readonly block: { readonly height: number; readonly id: string };
  /** As text, for JSON. */
  readonly balance: string;
  readonly sequence: string;
  /** Leads from the block's id to its root. */
  readonly header: string;
  /** Each leads from the root to bytes that were read. */
  readonly proofs: readonly string[];
}

type Read = (address: number, length: number) => Uint8Array;

/** The process of the bank: the only child of the root. */
const PATH: readonly number[] = [1];
const EMPTY: Account = { balance: 0n, sequence: 0n };

/** An account at the end of a block, with its proof. */
export function readAccount(
  program: Uint8Array,
  chain: Chain,
  address: Address,
  block: Block = chain.head,
): ProvenAccount {
  const ranges: MemoryRange[] = [];
  const { balance, sequence } = lookUp(program, address, (at, length) => {
    ranges.push({ path: PATH, address: at, length });
    return chain.read(PATH, at, length, block);
  });
  return {
    address,
    block: { height: block.height, id: block.id },
    balance: String(balance),
    sequence: String(sequence),
    header: hex(chain.blockHeader(block)),
    proofs: chain.proveMany(ranges, block).map(hex),
  };
}

/**
 * The account that a reply shows, to a client that knows that there is a block `id`.
 *
 * @throws ProofError if it does not show that
 */
export function verifyAccount(
  program: Uint8Array,
  id: string,
  address: Address,
  reply: ProvenAccount,
): Account {
  const { root } = verifyHeader(id, bytes(reply.header));
  const shown = reply.proofs.map((proof) => verify(root, bytes(proof)));
  return lookUp(program, address, (at, length) => {
    for (const statement of shown) {
      if (!("bytes" in statement) || statement.path.join() !== PATH.join()) continue;
      if (statement.address === at && statement.bytes.length === length) return statement.bytes;
    }
    throw new Error(`nothing shows the ${length} bytes at ${at}`);
  });
}

function lookUp(program: Uint8Array, address: Address, read: Read): Account {
  const { accounts } = stateOf(program, read);
  return ((accounts as StateView).get(address as never) as Account | undefined) ?? EMPTY;
}

const hex = (from: Uint8Array): string => Buffer.from(from).toString("hex");
const bytes = (from: string): Uint8Array => Uint8Array.from(Buffer.from(from, "hex"));
