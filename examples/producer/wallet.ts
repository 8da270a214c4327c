/** A client of the node: a key, the number of its next payment, and requests. It verifies all answers. */

import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { StillpointError } from "../../runtime/index.ts";
import type { Address } from "./bank.ts";
import type { Receipt } from "./mempool.ts";
import { type Account, type ProvenAccount, verifyAccount } from "./reads.ts";
import { addressOf, type SignedPayment, signPayment } from "./transaction.ts";

/** What the node refused; the code is its own. */
export class Refused extends StillpointError {}

/** What stands before the 32 bytes of an Ed25519 key in PKCS #8. */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

export class Wallet {
  readonly address: Address;
  readonly #key: KeyObject;
  readonly #publicKey: string;
  /** Of the last payment that was signed. */
  sequence = 0n;

  /** Of 32 secret bytes. */
  constructor(secret: Uint8Array) {
    this.#key = createPrivateKey({ format: "der", type: "pkcs8", key: Buffer.concat([PKCS8, secret]) });
    const { x } = createPublicKey(this.#key).export({ format: "jwk" });
    const key = Buffer.from(x as string, "base64url");
    this.#publicKey = key.toString("hex");
    this.address = addressOf(key);
  }

  /** The next payment. */
  sign(chain: string, to: Address, amount: bigint): SignedPayment {
    const sequence = String(++this.sequence);
    return signPayment({ chain, key: this.#publicKey, sequence, to, amount: String(amount) }, this.#key);
  }
}

/** A payment as the bytes that `submit` of a client takes: see rpc.ts. */
export function bytesOf(payment: SignedPayment): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(payment));
}

/** Sends a payment; resolves when it is in a block that lasts. */
export async function send(url: string, payment: SignedPayment): Promise<Receipt> {
  return ask(url, "/payments", payment) as Promise<Receipt>;
}

/** The account as the node shows it, at a block of which the id is believed. */
export async function account(url: string, program: Uint8Array, address: Address): Promise<Account> {
  const reply = (await ask(url, `/accounts/${address}`)) as ProvenAccount;
  return verifyAccount(program, reply.block.id, address, reply);
}

/**
 * What the node answers.
 *
 * @throws Refused; TypeError of fetch if there is no node
 */
export async function ask(url: string, path: string, body?: object): Promise<unknown> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(
    url + path,
    body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) },
  );
  const value = (await answer.json()) as { error?: { code: string; message: string } | null };
  if (answer.ok) return value;
  const { code, message } = value.error as { code: string; message: string };
  throw new Refused(code, message, { status: answer.status });
}
