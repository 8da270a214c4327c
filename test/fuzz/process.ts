/** Rounds in a process of their own, which prints a line of JSON for each. */

import { spawn } from "node:child_process";

/**
 * What a process of Node with these arguments and environment variables besides has printed, line by line;
 * `name` is what an error calls it.
 */
export function linesOf<T>(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<T[]> {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      if (code !== 0) return reject(new Error(`${name} ended with exit code ${code}`));
      const lines = output.trim().split("\n");
      resolve(lines.map((line) => JSON.parse(line)));
    });
  });
}
