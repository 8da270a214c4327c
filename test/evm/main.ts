/**
 * npm run evm -- state-tests DIR
 *
 * Runs the official state tests in a directory (*.json, *.json.gz); exit code 1 if one fails.
 */

import { runStateTests, testFiles } from "./official.ts";

const [command, directory, ...rest] = process.argv.slice(2);
if (command !== "state-tests" || directory === undefined || rest.length > 0) {
  console.error("usage: npm run evm -- state-tests DIR");
  process.exit(2);
}
const { passed, failed, excluded } = await runStateTests(testFiles(directory));
for (const [reason, count] of excluded) console.log(`${count} left out: ${reason}`);
for (const line of failed) console.log(`failed: ${line}`);
console.log(`${passed} passed, ${failed.length} failed`);
if (failed.length > 0) process.exitCode = 1;
