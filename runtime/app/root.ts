/**
 * The program of the ready-made root: compiled beside this file in the package, with the sources when it is
 * needed.
 */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const IS_BUILT = import.meta.url.endsWith(".js");

export async function rootProgram(): Promise<Uint8Array> {
  if (IS_BUILT) return readFile(new URL("./guest/root.wasm", import.meta.url));
  const { compileGuest } = await import("../compile.ts");
  return compileGuest(fileURLToPath(new URL("./guest/root.ts", import.meta.url)));
}
