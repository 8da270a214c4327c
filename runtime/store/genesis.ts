/** Whether a store belongs to the genesis that a runtime was opened with; if not, what differs. */

import { StoreError } from "../errors.ts";
import { decodeGenesis, type GenesisFields, type Rules } from "../image/rules.ts";

const NUMBERS = ["gasLimit", "memoryQuotaPages", "heldGasQuota", "processQuota"] as const;

/**
 * Compares what was given with what the store begins with, but for the versions of rules: a build may begin
 * new chains with others, and carry those of the store.
 *
 * @throws StoreError (STORE_GENESIS)
 */
export function checkGenesis(path: string, stored: Uint8Array, given: Uint8Array): void {
  const [before, now] = [decodeGenesis(stored), decodeGenesis(given)];
  const differences = [...optionsThatDiffer(before, now), ...programsThatDiffer(before.rules, now.rules)];
  if (differences.length === 0) return;
  const text =
    `the store ${path} belongs to another genesis: ${differences.join("; ")}. Open it with what it was ` +
    'made with, or leave "root" out and take all of it from the store. What has changed since is there as ' +
    'well, and what is to change comes with a block ("rules" of produce). Or choose another directory';
  throw new StoreError("STORE_GENESIS", text, { path, differences: differences.join("; ") });
}

function optionsThatDiffer(before: GenesisFields, now: GenesisFields): string[] {
  const found = NUMBERS.filter((name) => before.rules[name] !== now.rules[name]).map(
    (name) => `its ${name} is ${before.rules[name]}, given is ${now.rules[name]}`,
  );
  if (before.entry !== now.entry) found.push(`its entry is "${before.entry}", given is "${now.entry}"`);
  const origin = (id: string | null): string => (id === null ? "with a root of its own" : `from block ${id}`);
  if (before.origin !== now.origin) {
    found.push(`it begins ${origin(before.origin)}, given is one that begins ${origin(now.origin)}`);
  }
  return found;
}

function programsThatDiffer({ programs: before }: Rules, { programs: now }: Rules): string[] {
  const found: string[] = [];
  if (before[0] !== now[0]) found.push(`its root is program ${before[0]}, given is ${now[0]}`);
  for (const name of before.slice(1)) if (!now.includes(name)) found.push(`its program ${name} is not given`);
  for (const name of now.slice(1))
    if (!before.includes(name)) found.push(`it does not begin with program ${name}`);
  if (found.length === 0 && before.join() !== now.join()) found.push("its programs are in another order");
  return found;
}
