/**
 * What a browser computes, and Node for comparison: proofs as the verifier reads them, every instruction on
 * chosen operands, generated programs, and processes of `stillpoint/testing` after scripts of the driver.
 */

import { verify, verifyHeader } from "../../runtime/proof/verify.ts";
import { TestProcess } from "../../runtime/testing.ts";
import { compare, compareSuspending } from "../program/differential.ts";
import { Operations } from "../program/operations.ts";

const TURNS = 8;

/** What is asked; bytes in hex. */
export interface Tasks {
  readonly proofs: readonly { readonly root: string; readonly proof: string }[];
  readonly headers: readonly { readonly id: string; readonly header: string }[];
  /** Of instructions and of generated programs. */
  readonly seeds: readonly number[];
  readonly driver: string;
  /** Where a script lies in the driver's memory. */
  readonly region: number;
  readonly scripts: readonly string[];
}

/** The answers, as text that can be compared. */
export async function answers(tasks: Tasks): Promise<string[]> {
  const lines: string[] = [];
  for (const { root, proof } of tasks.proofs) lines.push(attempt(() => verify(root, bytesOf(proof))));
  for (const { id, header } of tasks.headers) lines.push(attempt(() => verifyHeader(id, bytesOf(header))));
  const operations = new Operations();
  for (const seed of tasks.seeds) {
    lines.push(`instructions ${seed} ${operations.round(seed, TURNS)}`);
    for (const { difference, summary } of [compare(seed), compareSuspending(seed)]) {
      lines.push(`program ${seed} ${summary} ${difference}`);
    }
  }
  const driver = bytesOf(tasks.driver);
  for (const script of tasks.scripts) {
    const process = await TestProcess.open(driver, { heapBytes: 2 ** 30 });
    process.write(tasks.region, bytesOf(script));
    lines.push(attempt(() => process.call("run", tasks.region)));
    lines.push(`state ${process.state.hash}`);
  }
  return lines;
}

/** What it says, or the error's code, reason and facts. */
function attempt(say: () => unknown): string {
  try {
    return text(say());
  } catch (error) {
    const { code, reason, facts } = error as { code?: string; reason?: string; facts?: object };
    if (code === undefined) throw error;
    return text({ code, reason, facts });
  }
}

function text(value: unknown): string {
  return JSON.stringify(value, (_, part) => {
    if (typeof part === "bigint") return `${part}`;
    return part instanceof Uint8Array ? [...part].join() : part;
  });
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
