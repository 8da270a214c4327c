/**
 * npm run build: dist/, all that the package needs to run. JavaScript and declarations of the runtime and the
 * examples, the core of batches and the examples' programs compiled, and the blocks they run. Sources of the
 * guest SDK are part of the package as they are.
 */

import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { GUESTS, guestFile, loadGuest } from "../examples/guests.ts";
import { OWN_PROGRAMS, ownProgram } from "../runtime/app/root.ts";
import { coreBytes } from "../runtime/batch/core.ts";
import { makeBundle } from "../runtime/inspector/assets.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");

rmSync(dist, { recursive: true, force: true });
execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
for (const guest of GUESTS) {
  const file = join(dist, "examples", guestFile(guest, "wasm"));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, await loadGuest(guest));
}
writeFileSync(join(dist, "runtime/batch/core.wasm"), await coreBytes());
for (const name of OWN_PROGRAMS) {
  writeFileSync(join(dist, `runtime/app/guest/${name}.wasm`), await ownProgram(name));
}
const { script, style } = await makeBundle();
writeFileSync(join(dist, "runtime/inspector/page.js"), script);
writeFileSync(join(dist, "runtime/inspector/page.css"), style);
cpSync(join(root, "runtime/abci/messages"), join(dist, "runtime/abci/messages"), { recursive: true });
cpSync(join(root, "examples/ledger/blocks"), join(dist, "examples/ledger/blocks"), { recursive: true });
chmodSync(join(dist, "runtime/cli/main.js"), 0o755);
