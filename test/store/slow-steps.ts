/**
 * A store's thread that takes long at one step. Behind the name of this module: `?step=NAME&ms=N`, or
 * `&until=FILE`, until that file is there.
 */

import { existsSync } from "node:fs";

const { searchParams } = new URL(import.meta.url);
const until = searchParams.get("until");
const ms = Number(searchParams.get("ms") ?? 5);
const word = new Int32Array(new SharedArrayBuffer(4));

export function step(name: string): void {
  if (name !== searchParams.get("step")) return;
  do Atomics.wait(word, 0, 0, ms);
  while (until !== null && !existsSync(until));
}
