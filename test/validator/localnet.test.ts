/** The commands of the example: what they say without CometBFT, and with it. */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { COMET_VERSIONS, findComet } from "../../examples/validator/comet.ts";
import { freePort } from "../../examples/validator/pair.ts";
import { ROOT } from "../guest/harness.ts";

const directory = mkdtempSync(join(tmpdir(), "stillpoint-localnet-test-"));
after(() => rmSync(directory, { recursive: true }));

function run(file: string, args: readonly string[], env: object = {}) {
  const options = { encoding: "utf8", cwd: ROOT, env: { ...process.env, ...env } } as const;
  return spawnSync(process.execPath, [join(ROOT, file), ...args], options);
}

const NOTHING = { STILLPOINT_COMETBFT: directory, PATH: dirname(process.execPath) };

test("without CometBFT and Go the local network says so, and exits with 2", () => {
  const { status, stderr } = run("examples/validator/main.ts", [], NOTHING);
  assert.equal(status, 2, stderr);
  assert.match(stderr, /there is no CometBFT 0\.38\.26 in .*, and no Go to build it with: install Go/);
});

test("without CometBFT the checks of a network are skipped, with a reason", () => {
  const { status, stdout } = run("test/network/main.ts", ["--short"], NOTHING);
  assert.equal(status, 0);
  assert.match(stdout, /^network: skipped: there is no CometBFT/);
});

test("a binary is known by the module that it was built from, not by its name", () => {
  const place = join(directory, "other/0.38.26");
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "cometbft"), "mod\tgithub.com/cometbft/cometbft\tv0.38.25\th1:");
  const env = { ...NOTHING, STILLPOINT_COMETBFT: dirname(place) };
  const { status, stderr } = run("examples/validator/main.ts", [], env);
  assert.equal(status, 2, stderr);
  assert.match(stderr, /was not built from github\.com\/cometbft\/cometbft 0\.38\.26: remove it/);
});

test("a node serves metrics, and ends with the process that started it", async () => {
  const metricsPort = await freePort();
  const given = { store: join(directory, "state"), address: "tcp://127.0.0.1:0", metricsPort };
  const child = spawn(process.execPath, [join(ROOT, "examples/validator/node.ts"), JSON.stringify(given)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  await once(child.stdout, "data");
  const page = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  child.stdin.end();
  assert.deepEqual(await ended, [0, null]);
  assert.match(page, /^stillpoint_height 1$/m);
});

test("a local network of one makes blocks under load, and ends by itself", (t) => {
  if (process.env.STILLPOINT_FULL !== "1") return t.skip("STILLPOINT_FULL=1 runs it");
  const version = COMET_VERSIONS.find((each) => findComet(each) !== null);
  if (version === undefined) return t.skip("there is no CometBFT in the cache folder");
  const args = ["--validators", "1", "--blocks", "6", "--load", "20", "--comet", version];
  const { status, stdout, stderr } = run("examples/validator/main.ts", args);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^end of the load +6 +[0-9a-f]{16} +\d+$/m);
});
