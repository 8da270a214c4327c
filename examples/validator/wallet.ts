/** The people of a local network: an owner, and holders of coins; their signed transactions. */

import { fileURLToPath } from "node:url";
import { type Call, chainOf, contractsOf, Signer } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";

/** What signatures are for. */
export const CHAIN_NAME = "coins";
const CHAIN = chainOf(CHAIN_NAME);
const GAS = 2_000_000;
const HOLDERS = 50;

const signer = (byte: number) => new Signer(new Uint8Array(32).fill(byte), "ed25519");

/** May change validators, and plan upgrades. */
export const OWNER: Signer = signer(255);
/** The holders of coins. */
export const HOLDER: readonly Signer[] = Array.from({ length: HOLDERS }, (_, i) => signer(i + 1));
/** What each of them has at first. */
export const AMOUNT = 1_000_000_000n;

/** The package has sources of guests beside what is built. */
const GUEST = import.meta.url.endsWith(".js")
  ? "../../../examples/validator/guest/coins.ts"
  : "guest/coins.ts";

let compiled: Promise<Uint8Array> | null = null;

/** Compiles the contracts. */
export function coinsProgram(): Promise<Uint8Array> {
  compiled ??= compileGuest(fileURLToPath(new URL(GUEST, import.meta.url)));
  return compiled;
}

/** Makes signed transactions, each with the next nonce of its sender. */
export class Wallet {
  readonly #contracts: ReturnType<typeof contractsOf>;
  readonly #nonces = new Map<Signer, bigint>();

  private constructor(program: Uint8Array) {
    this.#contracts = contractsOf(program);
  }

  static async open(): Promise<Wallet> {
    return new Wallet(await coinsProgram());
  }

  /** A payment of the `index`-th transaction of a load: from one holder to the next. */
  payment(index: number): Uint8Array {
    const from = HOLDER[index % HOLDERS] as Signer;
    const to = (HOLDER[(index + 1) % HOLDERS] as Signer).address;
    return this.sign(from, this.#contracts.Coins?.pay?.({ to, amount: BigInt(1 + (index % 7)) }) as Call);
  }

  /** What the owner signs: the validator with this ed25519 key is to have this power. */
  setPower(key: Uint8Array, power: bigint): Uint8Array {
    return this.sign(OWNER, this.#contracts.Network?.setPower?.({ key, power }) as Call);
  }

  sign(by: Signer, { selector, bytes }: Call): Uint8Array {
    const nonce = this.#nonces.get(by) ?? 0n;
    this.#nonces.set(by, nonce + 1n);
    const call = Buffer.alloc(4 + bytes.length);
    call.writeUInt32LE(selector);
    call.set(bytes, 4);
    return by.sign({ chain: CHAIN, nonce, gas: GAS, lastHeight: Number.MAX_SAFE_INTEGER, call });
  }
}
