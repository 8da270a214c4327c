/**
 * node scripts/abci-messages.ts DIRECTORY: makes runtime/abci/messages/, the messages of ABCI 2.0, from the
 * protos that CometBFT publishes. DIRECTORY is the folder "proto" of version 0.40.0, which has all messages
 * of 0.38 and two more: `go mod download -json github.com/cometbft/cometbft@v0.40.0` says where it lies.
 *
 * Options of gogoproto say how Go represents a message and nothing of its bytes, so they are left out, and
 * with them a file that would be larger than all others. The service is left out too: it is gRPC's.
 */

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = ["@bufbuild/buf@1.75.0", "@bufbuild/protoc-gen-es@2.17.0"];
const FILES = ["abci/types", "crypto/keys", "crypto/proof", "types/params", "types/validator"].map(
  (name) => `tendermint/${name}.proto`,
);
const OUT = fileURLToPath(new URL("../runtime/abci/messages", import.meta.url));

const [protos] = process.argv.slice(2);
if (protos === undefined) {
  console.error('missing argument: DIRECTORY, the folder "proto" of CometBFT\'s sources');
  process.exit(2);
}

const work = mkdtempSync(join(tmpdir(), "stillpoint-protos-"));
for (const name of FILES) {
  const text = readFileSync(join(protos, name), "utf8")
    .replace(/^import "gogoproto.*\n/gm, "")
    .replace(/^ *option \(gogoproto.*\n/gm, "")
    .replace(/^option go_package.*\n/gm, "")
    .replace(/\s*\[[^\]]*\](?=;)/g, "")
    .replace(/^service [\s\S]*?^}\n/gm, "");
  mkdirSync(dirname(join(work, name)), { recursive: true });
  writeFileSync(join(work, name), text);
}
const plugin = { local: "protoc-gen-es", out: "messages", opt: ["target=js+dts", "import_extension=js"] };
writeFileSync(join(work, "buf.gen.yaml"), JSON.stringify({ version: "v2", plugins: [plugin] }));

const npx = ["--yes", ...PACKAGES.map((name) => `--package=${name}`), "buf", "generate"];
execFileSync("npx", npx, { cwd: work, stdio: "inherit" });
rmSync(OUT, { recursive: true, force: true });
execFileSync("cp", ["-r", join(work, "messages"), OUT]);
rmSync(work, { recursive: true });
