/** Runs the command `stillpoint` as a shell does. */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export const MAIN = fileURLToPath(new URL("../../runtime/cli/main.ts", import.meta.url));

/** Sources are stripped of types once, not by each of many processes. */
const { NODE_TEST_CONTEXT: _, ...environment } = process.env; // with it a test runner says nothing

export const ENV = {
  ...environment,
  NODE_COMPILE_CACHE: fileURLToPath(new URL("../../node_modules/.cache/node", import.meta.url)),
};

/** A new directory of that name, in which the package is found as in a project that has it. */
export function directoryWithPackage(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `stillpoint-${name}-`));
  mkdirSync(join(directory, "node_modules"));
  symlinkSync(ROOT, join(directory, "node_modules/stillpoint"));
  return directory;
}

/** How a command ended. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function stillpoint(...args: string[]): Ended {
  return stillpointIn(".", ...args);
}

export function stillpointIn(cwd: string, ...args: string[]): Ended {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8", cwd, env: ENV });
}
