/**
 * Data that is too large for the repository and lies beside it, in ../shared. Tests that need it run where
 * STILLPOINT_FULL=1 demands them, and fail if it is missing there; elsewhere they are skipped with a reason.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { FULL } from "./sizes.ts";

const SHARED = new URL("../../shared/data/", import.meta.url);

/** The dozen blocks of value transfers in the repository. */
export const OWN_BLOCKS = fileURLToPath(new URL("../examples/ledger/blocks", import.meta.url));

/** A folder of the shared data, or undefined after the test was marked as skipped. */
export function sharedData(t: TestContext, folder: string): string | undefined {
  const directory = fileURLToPath(new URL(folder, SHARED));
  if (!FULL) {
    t.skip(`STILLPOINT_FULL=1 runs it on ${directory}; what the repository has is tested all the same`);
    return undefined;
  }
  assert.ok(existsSync(directory), `STILLPOINT_FULL is 1, but ${directory} is missing`);
  return directory;
}

/** The directory of all blocks of value transfers, or undefined after the test was marked as skipped. */
export function allBlocks(t: TestContext): string | undefined {
  return sharedData(t, "ethereum-blocks");
}
