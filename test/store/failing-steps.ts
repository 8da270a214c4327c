/** Steps of a store's transactions that fail as long as a file is there; what it says is how. */

import { existsSync, readFileSync } from "node:fs";

const SWITCH = new URL(import.meta.url).searchParams.get("switch") as string;

export function step(name: string): void {
  if ((name !== "begin" && name !== "committed") || !existsSync(SWITCH)) return;
  const how = readFileSync(SWITCH, "utf8");
  // Ends the thread.
  if (how === (name === "begin" ? "exit" : "exit committed")) process.exit(1);
  if (name === "committed" || how === "exit committed") return;
  throw Object.assign(new Error("No space left on device"), { code: 28 });
}
