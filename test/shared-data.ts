/**
 * The full set of blocks, which is too large for the repository and lies beside it, where there is one. Tests
 * that need it are skipped with a word where it is missing, and fail where CI is set: there it has to be.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const DIRECTORY = fileURLToPath(new URL("../../shared/data/ethereum-blocks", import.meta.url));

/** The dozen blocks in the repository. */
export const OWN_BLOCKS = fileURLToPath(new URL("../examples/ledger/blocks", import.meta.url));

/** The directory of all blocks, or undefined after the test was marked as skipped. */
export function allBlocks(t: TestContext): string | undefined {
  if (existsSync(DIRECTORY)) return DIRECTORY;
  const { CI } = process.env;
  assert.ok(CI === undefined || CI === "" || CI === "false", `CI is set, but ${DIRECTORY} is missing`);
  t.skip(`${DIRECTORY} is not there; the repository's dozen blocks are tested all the same`);
  return undefined;
}
