/**
 * Steps of a store's transactions, some of which fail as if the disk were full. The file whose name is in the
 * query "plan" says after how many others, and how many; it is gone when that has happened.
 */

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const PLAN = new URL(import.meta.url).searchParams.get("plan") as string;

export function step(name: string): void {
  // Then the transaction is on the disk: only a crash can come in between.
  if (name === "committed" || !existsSync(PLAN)) return;
  const [before, failing] = readFileSync(PLAN, "utf8").split(" ").map(Number) as [number, number];
  if (before > 0) {
    writeFileSync(PLAN, `${before - 1} ${failing}`);
    return;
  }
  if (failing > 1) writeFileSync(PLAN, `0 ${failing - 1}`);
  else rmSync(PLAN);
  throw Object.assign(new Error("No space left on device"), { code: 28 });
}
