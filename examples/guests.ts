/**
 * The programs of the examples. In the sources they are compiled when first needed, and kept in the
 * compiler's cache; in the built package they lie compiled beside this file, where scripts/build.ts puts
 * them.
 */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { CompileOptions } from "../runtime/compile.ts";

/** Each name is a folder of the examples and a file in its guest folder. */
export const GUESTS = [
  "ledger/root",
  "ledger/ledger",
  "parallel/root",
  "parallel/worker",
  "exchange/root",
  "exchange/verifier",
  "exchange/router",
  "exchange/token",
  "exchange/pool",
  "evm/root",
  "evm/evm",
  "evm/senders",
  "evm/tracer",
  "producer/bank",
] as const;

export type Guest = (typeof GUESTS)[number];

/** How a program is compiled. */
export function guestOptions(guest: Guest): CompileOptions {
  if (!guest.startsWith("evm/")) return {};
  return { enable: ["simd"], ...(guest === "evm/tracer" ? { constants: { TRACING: 1 } } : {}) };
}

const IS_BUILT = import.meta.url.endsWith(".js");

/** The module of an example program, as Runtime.open takes it. */
export async function loadGuest(guest: Guest): Promise<Uint8Array> {
  if (IS_BUILT) return readFile(new URL(guestFile(guest, "wasm"), import.meta.url));
  const { compileGuest } = await import("../runtime/compile.ts");
  return compileGuest(fileURLToPath(new URL(guestFile(guest, "ts"), import.meta.url)), guestOptions(guest));
}

/** Where a program lies, relative to this file. */
export function guestFile(guest: Guest, extension: "ts" | "wasm"): string {
  const [example, name] = guest.split("/");
  return `./${example}/guest/${name}.${extension}`;
}
