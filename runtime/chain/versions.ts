/** The versions of rules that this build carries, and what they stand for. */

import { createHash } from "node:crypto";
import { ABI_VERSION } from "../../syscalls/abi.ts";
import { UsageError } from "../errors.ts";
import type { Rules } from "../image/rules.ts";
import { FIRST_COSTS, TABLES } from "../kernel/gas.ts";
import * as limits from "../limits.ts";
import { REWRITER_VERSION } from "../program/admit.ts";

/** The versions that a new chain begins with. */
export const NEWEST = { costs: FIRST_COSTS, rewriter: REWRITER_VERSION, abi: ABI_VERSION } as const;

/**
 * The versions of rules that this build carries: what `rules` of a block may name. A release drops none that
 * a chain may still need.
 *
 * @example
 * ```ts
 * console.log(CARRIED.costs.includes(runtime.rules().costs)); // true
 * ```
 */
export const CARRIED: { readonly costs: readonly string[]; readonly rewriter: readonly string[] } = {
  costs: Object.keys(TABLES),
  rewriter: [REWRITER_VERSION],
};

/** SHA-256 of all that a version of the cost table and this build's other versions stand for, in hex. */
export function constantsOf(costs: string): string {
  const table = TABLES[costs];
  const bounds = Object.entries(limits).filter(([name]) => !limits.HOST_LIMITS.includes(name));
  return createHash("sha256")
    .update(JSON.stringify([table, bounds]))
    .digest("hex");
}

/** @throws UsageError (RULES_UNKNOWN) */
export function checkCarried(rules: Rules): void {
  const given: [string, string, readonly string[]][] = [
    ["cost table", rules.costs, CARRIED.costs],
    ["rewriter", rules.rewriter, CARRIED.rewriter],
    ["system calls", String(rules.abi), [String(ABI_VERSION)]],
  ];
  for (const [what, version, carried] of given) {
    if (carried.includes(version)) continue;
    const text =
      `the rules need version ${version} of the ${what}, this build carries ${carried.join(", ")}. ` +
      "Use a build that carries it";
    throw new UsageError("RULES_UNKNOWN", text, { what, version, carried: carried.join(",") });
  }
  const constants = constantsOf(rules.costs);
  if (constants === rules.constants) return;
  const text =
    `under version ${rules.costs} of the cost table this build has other prices or limits than the rules ` +
    "were made with. Use the build that made them";
  throw new UsageError("RULES_UNKNOWN", text, {
    what: "constants",
    version: rules.constants,
    carried: constants,
  });
}
