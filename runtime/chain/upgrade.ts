/**
 * The rules of a block: those of its parent, or what its input makes of them. Everything that can be said
 * before the block runs is checked here; the rest where the state is (worker/upgrade.ts).
 */

import { LimitError, UsageError } from "../errors.ts";
import type { UpgradePlan } from "../worker/upgrade.ts";
import { heapShortage } from "./bounds.ts";
import { type Change, changedRules, encodeChange } from "./change.ts";
import { hostShortage, type MemoryHost } from "./host-bounds.ts";
import type { KnownRules, Rulebook } from "./rulebook.ts";
import { checkCarried, constantsOf } from "./versions.ts";

/** By which rules a block runs. */
export interface RulesOfBlock {
  readonly known: KnownRules;
  /** What it changed, as bytes; null: nothing. */
  readonly change: Uint8Array | null;
  /** What that does to the state, null: nothing. */
  readonly plan: UpgradePlan | null;
}

/** The rules as they were. */
export function unchanged(known: KnownRules): RulesOfBlock {
  return { known, change: null, plan: null };
}

/**
 * The rules of a block on top of one with the rules `before`; `entry` is the chain's, `host` says how large
 * the heap is.
 *
 * @throws AdmissionError, UsageError (RULES_UNKNOWN, E_STATE), LimitError (QUOTA_ABOVE_HEAP)
 */
export async function rulesOf(
  book: Rulebook,
  before: KnownRules,
  change: Change | null,
  entry: string,
  host: MemoryHost,
): Promise<RulesOfBlock> {
  if (change === null) return unchanged(before);
  const rules = changedRules(before.rules, change, (costs) => constantsOf(costs));
  checkCarried(rules);
  const shortage = heapShortage(rules, host) ?? hostShortage(rules, host);
  if (shortage !== null) throw new LimitError("QUOTA_ABOVE_HEAP", shortage.text, shortage.facts);
  for (const { path, program } of change.replace) {
    if (rules.programs.includes(program)) continue;
    const name = `/${path.join("/")}`;
    const text = `process ${name} cannot have program ${program}: the rules do not name it. Add its bytes`;
    throw new UsageError("E_STATE", text, { process: name, program });
  }
  for (const bytes of change.programs) await book.add(bytes);
  return { known: await book.know(rules), change: encodeChange(change), plan: planOf(rules, change, entry) };
}

function planOf(rules: KnownRules["rules"], { numbers, replace }: Change, entry: string): UpgradePlan {
  const { memoryQuotaPages, heldGasQuota, processQuota } = rules;
  const { gasLimit: _, ...quotas } = numbers;
  return {
    quotas: Object.keys(quotas).length === 0 ? null : { memoryQuotaPages, heldGasQuota, processQuota },
    replace: replace.map(({ path, program, migrate, argument, gas }) => ({
      path,
      program,
      // A root that has nothing to resume must run something.
      migrate: migrate ?? (path.length === 0 ? entry : null),
      argument: String(argument),
      gas,
    })),
  };
}
