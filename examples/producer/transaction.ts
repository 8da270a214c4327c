/**
 * Signed payments. What is signed is text, a JSON object, as it came: so nothing has to be encoded twice in
 * the same way, and anyone with text and signature can check them.
 *
 *   { "chain": id of the genesis, "key": Ed25519 public key, "sequence": "7", "to": "0x…", "amount": "40" }
 *
 * The chain is named so that a payment is good for one chain alone, the sequence so that it is good for once:
 * guest/bank.ts. An address is the first twenty bytes of the key's SHA-256.
 */

import { createPublicKey, hash, type KeyObject, sign, verify } from "node:crypto";
import { RequestError } from "../../runtime/http/checks.ts";
import type { Address } from "./bank.ts";

/** A payment as it is sent. */
export interface SignedPayment {
  readonly text: string;
  /** 64 bytes in hex. */
  readonly signature: string;
}

/** A payment of which it is known who makes it. */
export interface Payment {
  /** SHA-256 of the text, in hex. */
  readonly id: string;
  readonly from: Address;
  readonly sequence: bigint;
  readonly to: Address;
  readonly amount: bigint;
}

const FIELDS = ["chain", "key", "sequence", "to", "amount"] as const;
type Fields = Record<(typeof FIELDS)[number], string>;

const HASH = /^[0-9a-f]{64}$/;
const SIGNATURE = /^[0-9a-f]{128}$/;
const ADDRESS = /^0x[0-9a-f]{40}$/;
const INTEGER = /^(0|[1-9][0-9]{0,19})$/;
const INTEGER_MAX = 2n ** 64n - 1n;
/** A payment is about 250 characters long. */
const TEXT_MAX = 1024;

export function addressOf(key: Uint8Array): Address {
  return `0x${hash("sha256", key, "hex").slice(0, 40)}`;
}

export function signPayment(fields: Fields, key: KeyObject): SignedPayment {
  const text = JSON.stringify(fields, [...FIELDS]);
  return { text, signature: sign(null, Buffer.from(text), key).toString("hex") };
}

/**
 * The payment that a client has sent, if it is one of this chain and signed by its sender.
 *
 * @throws RequestError (BAD_TRANSACTION, OTHER_CHAIN, BAD_SIGNATURE)
 */
export function openPayment(body: unknown, chain: string): Payment {
  const { text, signature } = (body ?? {}) as Partial<Record<keyof SignedPayment, unknown>>;
  if (typeof text !== "string" || text.length > TEXT_MAX) throw bad("text", "the JSON of a payment");
  if (typeof signature !== "string" || !SIGNATURE.test(signature)) throw bad("signature", "64 bytes in hex");
  const fields = fieldsOf(text);
  if (fields.chain !== chain) throw new RequestError(400, "OTHER_CHAIN", `this is chain ${chain}`);
  const key = Buffer.from(fields.key, "hex");
  if (!isSigned(text, key, signature)) {
    throw new RequestError(400, "BAD_SIGNATURE", "the text is not signed by its key");
  }
  return {
    id: hash("sha256", text, "hex"),
    from: addressOf(key),
    sequence: BigInt(fields.sequence),
    to: fields.to as Address,
    amount: BigInt(fields.amount),
  };
}

function fieldsOf(text: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad("text", "the JSON of a payment");
  }
  if (typeof value !== "object" || value === null || Object.keys(value).join() !== FIELDS.join()) {
    throw bad("text", `an object with ${FIELDS.join(", ")}, in this order`);
  }
  const fields = value as Record<keyof Fields, unknown>;
  const check = (name: keyof Fields, pattern: RegExp, expected: string): void => {
    const field = fields[name];
    if (typeof field !== "string" || !pattern.test(field)) throw bad(name, expected);
    if (pattern === INTEGER && BigInt(field) > INTEGER_MAX) throw bad(name, expected);
  };
  check("chain", HASH, "the id of a genesis");
  check("key", HASH, "32 bytes in hex");
  check("to", ADDRESS, "0x and 40 digits, in lower case");
  for (const name of ["sequence", "amount"] as const) check(name, INTEGER, "an integer of 64 bits, as text");
  return fields as Fields;
}

function isSigned(text: string, key: Buffer, signature: string): boolean {
  try {
    const x = key.toString("base64url");
    const publicKey = createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x } });
    return verify(null, Buffer.from(text), publicKey, Buffer.from(signature, "hex"));
  } catch {
    return false; // no point of the curve
  }
}

function bad(name: string, expected: string): RequestError {
  return new RequestError(400, "BAD_TRANSACTION", `${name} must be ${expected}`);
}
