/** A block as it was executed against what the chain's header says of it. */

import { BYZANTIUM, type EvmBlock, FORKS } from "./block.ts";
import type { ExecutedBlock } from "./decode.ts";

/**
 * What a header says and execution gives. Receipts have held what happened since Byzantium; before, a state.
 */
export function comparedFields(block: EvmBlock): readonly string[] {
  const receipts = (FORKS.get(block.fork) as number) >= BYZANTIUM;
  return ["gasUsed", "logsBloom", ...(receipts ? ["receiptsRoot"] : []), "transactionsRoot"];
}

/** How the block differs from its header, in words; empty: it agrees. */
export function differences(block: EvmBlock, executed: ExecutedBlock): string[] {
  const expected: Record<string, string> = {
    ...block.expected,
    gasUsed: String(block.expected.gasUsed),
  };
  const found: Record<string, string> = {
    gasUsed: String(executed.gasUsed),
    logsBloom: executed.logsBloom,
    receiptsRoot: executed.receiptsRoot,
    transactionsRoot: executed.transactionsRoot,
  };
  const fields = comparedFields(block)
    .filter((name) => expected[name] !== found[name])
    .map((name) => `${name} is ${short(found[name])}, the header says ${short(expected[name])}`);
  const transactions = block.transactions.flatMap(({ hash, from }, i) => {
    const found = executed.transactions[i];
    if (hash !== found?.hash) return [`transaction ${i} has another hash than its file says`];
    if (from !== null && from !== found.sender)
      return [`transaction ${i} has another sender than its file says`];
    return [];
  });
  return [...fields, ...transactions];
}

function short(value: string | undefined): string {
  return value === undefined || value.length <= 70 ? String(value) : `${value.slice(0, 18)}…`;
}
