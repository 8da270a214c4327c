/**
 * Keys that sign transactions, for clients and tests: what guest/signed.ts verifies. The format of a signed
 * transaction is drawn there.
 */

import {
  createECDH,
  createPrivateKey,
  createPublicKey,
  hash,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { badArgument } from "../arguments.ts";
import { fixedBytes } from "../typed/codec.ts";
import { BODY_BYTES, ED25519, SECP256K1, TAG } from "./guest/schemes.ts";

/** Bytes, in hex. */
export type Hex = `0x${string}`;

/** What is signed. */
export interface Unsigned {
  /** `app.chain`. */
  readonly chain: Hex | Uint8Array;
  /** Each takes effect once for a sender: any that is not used, of the last 64 or above. */
  readonly nonce: bigint;
  /** Gas that it may use. */
  readonly gas: number;
  /** The last block that may have it. */
  readonly lastHeight: number;
  /** u32 selector · arguments: `app.encode` makes it of a call. */
  readonly call: Uint8Array;
}

const SECRET_BYTES = 32;
const CHAIN_BYTES = 32;
const SECP256K1_KEY_BYTES = 64;
const ED25519_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const PKCS8_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");
const SECP256K1_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/**
 * A key pair with its address.
 *
 * @example
 * ```ts
 * const alice = new Signer(new Uint8Array(32).fill(1), "ed25519");
 * console.log(alice.address); // 0xaabe933be154a4b5094e1c4abf42866505f3c97e
 * ```
 */
export class Signer {
  readonly scheme: "secp256k1" | "ed25519";
  /** 64 bytes, x and y, or 32. */
  readonly publicKey: Uint8Array;
  /** With secp256k1 the address that Ethereum gives the key. */
  readonly address: Hex;
  readonly #key: KeyObject;

  /**
   * Of 32 secret bytes, the seed of ed25519.
   *
   * @throws UsageError BAD_ARGUMENT if they are no key
   */
  constructor(secret: Uint8Array, scheme: "secp256k1" | "ed25519" = "secp256k1") {
    fixedBytes(SECRET_BYTES, secret, "secret");
    if (scheme !== "secp256k1" && scheme !== "ed25519")
      throw badArgument("scheme", scheme, '"secp256k1" or "ed25519"');
    this.scheme = scheme;
    const [key, publicKey] = scheme === "ed25519" ? ed25519(secret) : secp256k1(secret);
    this.#key = key;
    this.publicKey = publicKey;
    this.address = addressOf(publicKey);
  }

  /** A new pair. */
  static generate(scheme: "secp256k1" | "ed25519" = "secp256k1"): Signer {
    return new Signer(randomBytes(SECRET_BYTES), scheme);
  }

  /** The signed transaction, as `app.submit` takes it. */
  sign({ chain, nonce, gas, lastHeight, call }: Unsigned): Uint8Array {
    const body = Buffer.alloc(BODY_BYTES - 4 + call.length);
    body.set(fixedBytes(CHAIN_BYTES, chain, "chain"));
    body.writeBigUInt64LE(checked("nonce", nonce), CHAIN_BYTES);
    body.writeBigUInt64LE(checked("gas", gas), CHAIN_BYTES + 8);
    body.writeBigUInt64LE(checked("lastHeight", lastHeight), CHAIN_BYTES + 16);
    body.set(call, CHAIN_BYTES + 24);
    const signed = Buffer.concat([Buffer.from(TAG), body]);
    const isEd25519 = this.scheme === "ed25519";
    const signature = isEd25519 ? sign(null, signed, this.#key) : lowForm(signed, this.#key);
    const head = Uint8Array.of(isEd25519 ? ED25519 : SECP256K1);
    return new Uint8Array(Buffer.concat([head, this.publicKey, signature, body]));
  }
}

/** Of a key of 64 bytes (secp256k1) or 32 (ed25519). */
function addressOf(publicKey: Uint8Array): Hex {
  const isLong = publicKey.length === SECP256K1_KEY_BYTES;
  const digest = isLong ? Buffer.from(keccak_256(publicKey)) : hash("sha256", publicKey, "buffer");
  return `0x${digest.toString("hex", 12)}`;
}

/**
 * The claimed signer of a transaction, and the function and arguments that it calls. Nothing is
 * verified. Null: the bytes are no signed transaction.
 *
 * @internal
 */
export function readSigned(
  bytes: Uint8Array,
): { readonly sender: Hex; readonly selector: number; readonly args: Uint8Array } | null {
  const scheme = bytes[0];
  if (scheme !== SECP256K1 && scheme !== ED25519) return null;
  const keyEnd = 1 + (scheme === SECP256K1 ? SECP256K1_KEY_BYTES : ED25519_KEY_BYTES);
  const end = keyEnd + SIGNATURE_BYTES + BODY_BYTES;
  if (bytes.length < end) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const selector = view.getUint32(end - 4, true);
  return { sender: addressOf(bytes.subarray(1, keyEnd)), selector, args: bytes.subarray(end) };
}

function checked(name: string, value: number | bigint): bigint {
  const isInteger = typeof value === "bigint" || Number.isSafeInteger(value);
  const integer = isInteger ? BigInt(value) : -1n;
  if (integer >= 0n && integer < 2n ** 64n) return integer;
  throw badArgument(name, value, "an integer from 0 to 2^64 - 1");
}

function ed25519(secret: Uint8Array): [KeyObject, Uint8Array] {
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_ED25519, secret]),
    format: "der",
    type: "pkcs8",
  });
  const { x } = createPublicKey(key).export({ format: "jwk" });
  return [key, new Uint8Array(Buffer.from(x as string, "base64url"))];
}

function secp256k1(secret: Uint8Array): [KeyObject, Uint8Array] {
  const pair = createECDH("secp256k1");
  try {
    pair.setPrivateKey(secret);
  } catch (error) {
    const refused = badArgument("secret", secret, "a number from 1 to the order of secp256k1 - 1");
    throw Object.assign(refused, { cause: error });
  }
  const publicKey = new Uint8Array(pair.getPublicKey().subarray(1));
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");
  const [x, y] = [text(publicKey.subarray(0, 32)), text(publicKey.subarray(32))];
  const jwk = { kty: "EC", crv: "secp256k1", x, y, d: text(secret) };
  return [createPrivateKey({ key: jwk, format: "jwk" }), publicKey];
}

/** The one of the two signatures (r, s), (r, order - s) whose s is at most half the order. */
function lowForm(bytes: Uint8Array, key: KeyObject): Buffer {
  const signature = sign("sha256", bytes, { key, dsaEncoding: "ieee-p1363" });
  const s = BigInt(`0x${signature.toString("hex", 32)}`);
  if (s <= SECP256K1_ORDER / 2n) return signature;
  const low = (SECP256K1_ORDER - s).toString(16).padStart(64, "0");
  return Buffer.concat([signature.subarray(0, 32), Buffer.from(low, "hex")]);
}
