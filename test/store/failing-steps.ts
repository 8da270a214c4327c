/** Steps of a store's transactions that fail as long as a file is there; what it says is how. */

import { existsSync, readFileSync } from "node:fs";

const SWITCH = new URL(import.meta.url).searchParams.get("switch") as string;

export function step(name: string): void {
  if (name !== "begin" || !existsSync(SWITCH)) return;
  // Ends the thread.
  if (readFileSync(SWITCH, "utf8") === "exit") process.exit(1);
  throw Object.assign(new Error("No space left on device"), { code: 28 });
}
