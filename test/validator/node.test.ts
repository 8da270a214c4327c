/**
 * One real node of CometBFT on a validator. It runs where STILLPOINT_FULL=1 and the binary is in the cache:
 *
 *   GOBIN=~/.cache/stillpoint/cometbft/0.38.26 go install github.com/cometbft/cometbft/cmd/cometbft@v0.38.26
 *
 * or in the folder that STILLPOINT_COMETBFT names instead of ~/.cache/stillpoint/cometbft.
 */

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../../examples/validator/pair.ts";
import { type AbciServer, serveAbci } from "../../runtime/abci/index.ts";
import { Runtime } from "../../runtime/index.ts";
import { validator } from "../../runtime/validator/index.ts";
import { fitted } from "../fixture.ts";
import { tally, tallyChain } from "./chain.ts";

const CACHE = process.env.STILLPOINT_COMETBFT ?? join(homedir(), ".cache/stillpoint/cometbft");

for (const version of ["0.38.26", "0.40.0"]) {
  test(`CometBFT ${version} makes blocks on a validator, is killed, and continues`, async (t) => {
    const binary = join(CACHE, version, "cometbft");
    if (process.env.STILLPOINT_FULL !== "1") return t.skip("STILLPOINT_FULL=1 runs it");
    if (!existsSync(binary)) return t.skip(`there is no ${binary}: this file says how to build it`);
    const home = mkdtempSync(join(tmpdir(), "stillpoint-node-"));
    try {
      await twice(binary, home);
    } finally {
      rmSync(home, { recursive: true });
    }
  });
}

async function twice(binary: string, home: string): Promise<void> {
  execFileSync(binary, ["init", "--home", home], { stdio: "ignore" });
  const config = join(home, "config/config.toml");
  const text = readFileSync(config, "utf8").replace(/^timeout_commit = .*/m, 'timeout_commit = "200ms"');
  writeFileSync(config, text);
  const first = await running(binary, home, async (ask) => {
    await height(ask, 2);
    const sent = await ask("broadcast_tx_commit", "tx=0x07");
    assert.equal(sent.tx_result.code, 0);
    const refused = await ask("broadcast_tx_sync", "tx=0x00");
    assert.equal(refused.code, 1);
    await height(ask, Number(sent.height) + 2);
    // The header after h carries the id of h.
    const { header } = (await ask("commit", `height=${Number(sent.height) + 1}`)).signed_header;
    return { height: Number(sent.height), hash: header.app_hash as string };
  });
  await running(binary, home, async (ask, runtime) => {
    const block = runtime.blocks().find(({ height }) => height === first.height + 1);
    assert.equal(block?.id.toUpperCase(), first.hash);
    await height(ask, runtime.head.height + 2);
    const { response } = await ask("abci_query");
    assert.equal(Buffer.from(response.value, "base64").toString(), "7");
  });
}

// biome-ignore lint/suspicious/noExplicitAny: answers of CometBFT's RPC
type Ask = (method: string, query?: string) => Promise<any>;

/** Runs a node and its application, and kills the node at the end, in the middle of whatever it does. */
async function running<T>(
  binary: string,
  home: string,
  use: (ask: Ask, runtime: Runtime) => Promise<T>,
): Promise<T> {
  await using runtime = await Runtime.open(fitted({ root: tally, store: join(home, "state") }));
  await using server = await serveAbci(validator(runtime, tallyChain(runtime)), {
    address: `unix://${join(home, "app.sock")}`,
  });
  const port = await freePort();
  const node = start(binary, home, server, port);
  const output = text(node);
  const ask: Ask = async (method, query = "") => {
    assert.equal(node.exitCode, null, output());
    const response = await fetch(`http://127.0.0.1:${port}/${method}?${query}`);
    const { result, error } = (await response.json()) as { result: unknown; error: unknown };
    assert.equal(error, undefined, JSON.stringify(error));
    return result;
  };
  try {
    return await use(ask, runtime);
  } finally {
    const ended = once(node, "exit");
    node.kill("SIGKILL");
    await ended;
  }
}

function start(binary: string, home: string, { address }: AbciServer, port: number): ChildProcess {
  const places = [
    ...["--proxy_app", address, "--rpc.laddr", `tcp://127.0.0.1:${port}`],
    ...["--p2p.laddr", "tcp://127.0.0.1:0"],
  ];
  return spawn(binary, ["start", "--home", home, ...places], { stdio: ["ignore", "pipe", "pipe"] });
}

function text({ stdout, stderr }: ChildProcess): () => string {
  let last = "";
  for (const stream of [stdout, stderr])
    stream?.on("data", (bytes) => {
      last = `${last}${bytes}`.slice(-4000);
    });
  return () => last;
}

/** Waits until the node has a block of a height. */
async function height(ask: Ask, wanted: number): Promise<void> {
  for (;;) {
    const status = await ask("status").catch((error) => {
      if (error instanceof assert.AssertionError) throw error;
    });
    if (Number(status?.sync_info.latest_block_height ?? 0) >= wanted) return;
    await sleep(100);
  }
}
