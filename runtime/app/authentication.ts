/**
 * Authentication of senders. An authenticator is a program: it runs in every block, on every replica, by the
 * same bytes, and an App asks it as a view before a transaction waits. So no host, and none of its libraries,
 * decides who has signed.
 *
 * It is compiled like a guest with state, which the first 32 bytes of are the chain, and it exports
 *   authenticate(length)   item, a transaction of that length: ADMITTED, or why not (guest/messages.ts); the
 *                          output is u64 nonce · u64 gas · u64 last height · u32 selector · [20] sender ·
 *                          arguments
 * Each nonce of a sender takes effect once: guest/senders.ts.
 */

import { hash } from "node:crypto";
import { badOption } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import type { Block, Runtime } from "../index.ts";
import type { Refusal } from "../typed/client.ts";
import { refusalOf } from "./blocks.ts";
import * as message from "./guest/messages.ts";
import { ownProgram } from "./root.ts";
import type { Hex } from "./signer.ts";

/** What the option "authenticate" takes. */
export interface Authentication {
  /** Gives the authenticator's module (consensus). */
  program(): Promise<Uint8Array>;
  /**
   * The chain's name, which signatures are for (consensus). Default: the genesis id, which is the same for
   * all chains of the same programs and rules.
   */
  readonly chain?: string;
}

/**
 * Lets in what its sender has signed, with secp256k1 or ed25519: see `Signer`.
 *
 * @example
 * ```ts
 * const app = await App.open({ contract: "bank.ts", authenticate: signed({ chain: "bank of tests" }) });
 * const alice = Signer.generate();
 * const minted = app.submit(app.client.Bank.mint({ to: alice.address, amount: 5n }), { by: alice });
 * await app.produce();
 * console.log((await minted).ok); // true
 * ```
 */
export function signed({ chain }: { readonly chain?: string } = {}): Authentication {
  return { program: () => ownProgram("signed"), ...(chain === undefined ? {} : { chain }) };
}

/** The 32 bytes of a chain. */
export function chainId(authentication: Authentication | undefined, genesis: string): Uint8Array {
  const name = authentication?.chain;
  if (name === undefined) return Buffer.from(genesis, "hex");
  if (typeof name !== "string" || name === "") throw badOption("chain", name, "the name of a chain, text");
  return chainBytes(name);
}

function chainBytes(name: string): Buffer {
  return hash("sha256", `stillpoint chain\n${name}`, "buffer");
}

/**
 * What signatures for the chain of this name are for: `app.chain`, where there is no App at hand.
 *
 * @example
 * ```ts
 * const app = await App.open({ contract: "bank.ts", authenticate: signed({ chain: "bank of tests" }) });
 * console.log(chainOf("bank of tests") === app.chain); // true
 * ```
 */
export function chainOf(name: string): Hex {
  return `0x${chainBytes(name).toString("hex")}`;
}

/** Where root and authenticator are, and gas for their views. */
const ROOT: readonly number[] = [];
export const AUTHENTICATOR: readonly number[] = [2];
const VIEW_GAS = 400_000_000;

/** A transaction as the authenticator sees it. */
export interface Admission {
  /** Why the next block would not let it in; null if it would. */
  readonly refusal: Refusal | null;
  readonly sender: string;
  readonly gas: number;
  /** Input of the program. */
  readonly input: Uint8Array;
}

/** What the block after another, by default the latest, would say of a transaction. */
export async function admission(
  runtime: Runtime,
  transaction: Uint8Array,
  block: Block = runtime.head,
): Promise<Admission> {
  const options = { input: transaction, outbox: "returned", gas: VIEW_GAS, block } as const;
  const view = await runtime.call(ROOT, "admit", options);
  if (view.fault !== "none")
    throw new UsageError("NO_VIEWS", `the authenticator cannot be asked: ${view.fault} ${view.text}`);
  const bytes = Buffer.from(view.output);
  const reason = bytes.readUInt32LE(0);
  const input = bytes.subarray(8 + message.ADMISSION_BYTES);
  return {
    refusal: reason === message.ADMITTED ? null : refusalOf(reason),
    sender: `0x${input.toString("hex", message.INPUT_SENDER, message.INPUT_BYTES)}`,
    gas: reason === message.ADMITTED ? Number(bytes.readBigUInt64LE(8 + message.ADMISSION_GAS)) : 0,
    input: new Uint8Array(input),
  };
}

/** The lowest nonce above all that the sender has used. */
export async function nonceOf(runtime: Runtime, sender: Uint8Array): Promise<bigint> {
  const { code } = await runtime.call(ROOT, "nonceOf", { input: sender, gas: VIEW_GAS });
  return BigInt.asUintN(64, code);
}
