/** Ten accounts for tests: the same everywhere, with public secrets. */

import { hash } from "node:crypto";
import { Signer } from "../app/index.ts";
import { prefixedHex } from "../text.ts";

export const ACCOUNTS = 10;

/** What chains of signed transactions are called that the command line makes. */
export const TEST_CHAIN = "stillpoint dev";

/** A test account. */
export interface Account {
  readonly address: `0x${string}`;
  /** 32 bytes in hex: the secret of its `Signer`. */
  readonly secret: `0x${string}`;
}

/** The signers of the accounts: account i has the SHA-256 of "stillpoint test account i" as its secret. */
export function testSigners(): Signer[] {
  return testSecrets().map((secret) => new Signer(secret));
}

/** The test accounts, with their secrets. */
export function testAccounts(): Account[] {
  return testSecrets().map((secret) => ({
    address: new Signer(secret).address,
    secret: prefixedHex(secret),
  }));
}

function testSecrets(): Uint8Array[] {
  return Array.from(
    { length: ACCOUNTS },
    (_, i) => new Uint8Array(hash("sha256", `stillpoint test account ${i}`, "buffer")),
  );
}

/** JSON in which "$0" to "$9" stand for the addresses of test accounts. */
export function withAccounts(json: unknown): unknown {
  const addresses = testSigners().map(({ address }) => address);
  const replaced = (value: unknown): unknown => {
    if (typeof value === "string" && /^\$\d$/.test(value)) return addresses[Number(value.slice(1))];
    if (Array.isArray(value)) return value.map(replaced);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, replaced(each)]));
  };
  return replaced(json);
}
