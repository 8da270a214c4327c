/**
 * The programs that an App brings along: compiled beside this file in the package, with the sources when they
 * are needed.
 */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const IS_BUILT = import.meta.url.endsWith(".js");

/** The ready-made root, and the ready-made authenticator. */
export const OWN_PROGRAMS = ["root", "signed"] as const;

export async function ownProgram(name: (typeof OWN_PROGRAMS)[number]): Promise<Uint8Array> {
  if (IS_BUILT) return readFile(new URL(`./guest/${name}.wasm`, import.meta.url));
  const { compileGuest } = await import("../compile.ts");
  return compileGuest(fileURLToPath(new URL(`./guest/${name}.ts`, import.meta.url)));
}
