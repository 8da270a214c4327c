/**
 * Steps of a store's transactions, one of which fails as if the disk were full: after as many others as the
 * file says, whose name is in the query "plan". The file is gone when that has happened.
 */

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const PLAN = new URL(import.meta.url).searchParams.get("plan") as string;

export function step(name: string): void {
  // Then the transaction is on the disk: only a crash can come in between.
  if (name === "committed" || !existsSync(PLAN)) return;
  const left = Number(readFileSync(PLAN, "utf8"));
  if (left > 0) {
    writeFileSync(PLAN, `${left - 1}`);
    return;
  }
  rmSync(PLAN);
  throw Object.assign(new Error("No space left on device"), { code: 28 });
}
