/** The rows of `npm run network`: each builds a network in a directory of its own, and throws if it fails. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Network, sameHash, trust } from "../../examples/validator/network.ts";
import { FAULT_POINTS, type FaultPoint, type NodeOptions } from "../../examples/validator/node.ts";
import type { Pair, Said } from "../../examples/validator/pair.ts";
import { AMOUNT, coinsProgram, HOLDER } from "../../examples/validator/wallet.ts";
import { contractsOf } from "../../runtime/app/index.ts";
import { doubleVote } from "./evidence.ts";

export interface Setting {
  readonly directory: string;
  readonly binary: string;
  readonly seed: number;
  /** Fewer transactions, seeds and blocks. */
  readonly isShort: boolean;
}

const LIGHT = fileURLToPath(new URL("light.ts", import.meta.url));
const SETTLE_MS = 100;

export const ROWS: Readonly<Record<string, (setting: Setting) => Promise<string>>> = {
  "one node takes payments, whose codes a model knows, and proves its state at old heights": payments,
  "an application that is killed at any point is started again, and nothing is committed twice": kills,
  "wiped data: the application's, CometBFT's, an old backup": wipes,
  "of four validators one is killed and rejoins; a fifth joins by state sync, with a corrupted chunk": four,
  "a validator is added by a transaction, signs, signs twice, which the contract hears, and is removed":
    powers,
};

// ---- one node ---------------------------------------------------------------------------------------------

async function payments({ directory, binary, isShort }: Setting): Promise<string> {
  const network = await Network.make(directory, binary, 1);
  const [pair] = network.pairs as [Pair];
  await network.start();
  const count = isShort ? 500 : 5000;
  const blocks = 20;
  const first = await pair.height();
  for (let sent = 0; sent < count; ) sent += await network.send(pair, Math.min(count / blocks, count - sent));
  assert.equal(network.counts.taken, count);
  let ran = 0;
  const balances = HOLDER.map(() => AMOUNT);
  let height = first;
  for (; ran < count; height++) {
    await pair.reaches(height + 1);
    const { txs_results: results } = await pair.ask("block_results", { height: String(height + 1) });
    for (const { code } of results ?? []) {
      assert.equal(code, 0);
      const [from, to] = [ran % HOLDER.length, (ran + 1) % HOLDER.length];
      const amount = BigInt(1 + (ran % 7));
      balances[from] = (balances[from] as bigint) - amount;
      balances[to] = (balances[to] as bigint) + amount;
      ran++;
    }
  }
  await pair.reaches(first + blocks);
  const found = await pair.ask("tx_search", { query: `Paid.from='${HOLDER[3]?.address}'`, per_page: "1" });
  assert.equal(Number(found.total_count), Math.floor((count - 4) / HOLDER.length) + 1);
  await provesAt(pair, height);
  const said = await balanceOf(pair, 0);
  assert.equal(said, balances[0]);
  await network.kill();
  return `${count} payments in ${height - first} blocks`;
}

/** Another process verifies what a query proves at an old height, from CometBFT's header. */
async function provesAt(pair: Pair, height: number): Promise<void> {
  const old = Math.max(1, height - 10);
  const data = Buffer.from(JSON.stringify({ path: [1], address: 65_536, length: 256 })).toString("hex");
  const { response } = await pair.ask("abci_query", {
    path: "/prove",
    data,
    height: String(old),
    prove: true,
  });
  assert.equal(response.code, 0, response.log);
  const [header, memory] = response.proofOps.ops.map((op: Said) =>
    Buffer.from(op.data, "base64").toString("hex"),
  );
  const verified = (appHash: string): string =>
    execFileSync(process.execPath, [LIGHT, appHash, header, memory], {
      encoding: "utf8",
      stdio: "pipe",
    }).trim();
  assert.equal(verified(await pair.appHash(old)), Buffer.from(response.value, "base64").toString("hex"));
  const other = await pair.appHash(old + 1);
  assert.throws(() => verified(other));
}

async function balanceOf(pair: Pair, holder: number): Promise<bigint> {
  const who = HOLDER[holder]?.address as string;
  const call = contractsOf(await coinsProgram()).Coins?.balanceOf?.({ who });
  const data = Buffer.alloc(24 + 20);
  data.writeUInt32LE(call?.selector ?? 0);
  data.set(Buffer.from(who.slice(2), "hex"), 24);
  const { response } = await pair.ask("abci_query", { path: "/view", data: data.toString("hex") });
  assert.equal(response.code, 0, response.log);
  return Buffer.from(response.value, "base64").readBigUInt64LE();
}

// ---- crashes ----------------------------------------------------------------------------------------------

async function kills({ directory, binary, seed, isShort }: Setting): Promise<string> {
  const network = await Network.make(directory, binary, 1);
  const [pair] = network.pairs as [Pair];
  await network.start();
  network.load(50);
  const points: (FaultPoint | "idle")[] = [...FAULT_POINTS, "idle"];
  const seeds = isShort ? 1 : 20;
  let number = seed;
  for (let round = 0; round < seeds; round++)
    for (const point of points) {
      number = (number * 48_271) % 2_147_483_647;
      const height = (await pair.height()) + 1 + (number % 3);
      if (point === "idle") {
        await pair.reaches(height);
        await sleep(number % SETTLE_MS);
        await pair.killApplication();
        await pair.ended();
        await pair.start([]);
        continue;
      }
      await pair.kill();
      await pair.start([], { fault: { point, height: height + 1 } });
      await pair.ended();
      await pair.start([]);
      await pair.reaches(height + 2);
    }
  await network.endLoad();
  const last = (await pair.height()) - 1;
  const hashes: string[] = [];
  for (let height = 1; height <= last; height++) hashes.push(await pair.appHash(height));
  await pair.kill();
  // An uninterrupted replica: an empty store that takes all blocks.
  pair.wipe("application");
  await pair.start([]);
  await pair.reaches(last + 1);
  for (const [i, hash] of hashes.entries()) assert.equal(await pair.appHash(i + 1), hash, `height ${i + 1}`);
  await network.kill();
  return `${points.length * seeds} kills, ${last} heights`;
}

async function wipes({ directory, binary }: Setting): Promise<string> {
  const network = await Network.make(directory, binary, 1);
  const [pair] = network.pairs as [Pair];
  await network.start();
  network.load(30);
  await pair.reaches(5);
  await pair.stop();
  const backup = join(directory, "backup");
  cpSync(pair.store, backup, { recursive: true });
  await pair.start([]);
  await pair.reaches(15);
  await network.endLoad();
  const hash = await pair.appHash(13);
  const goesOn = async (): Promise<void> => {
    await pair.start([]);
    const height = await pair.height();
    assert.ok(height >= 14);
    await pair.reaches(height + 2);
    assert.equal(await pair.appHash(13), hash);
    await pair.stop();
  };
  await pair.stop();
  pair.wipe("application");
  await goesOn();
  rmSync(pair.store, { recursive: true });
  cpSync(backup, pair.store, { recursive: true });
  await goesOn();
  pair.wipe("comet");
  await pair.start([]);
  await pair.ended();
  const { output } = pair;
  await network.kill();
  return `CometBFT without its data says: ${reasonIn(output)}`;
}

/** The line in which CometBFT says why it ended. */
function reasonIn(output: string): string {
  const lines = output.split("\n");
  return (lines.find((line) => /panic|app block height|AppHash/i.test(line)) ?? output).slice(0, 300);
}

// ---- several nodes ----------------------------------------------------------------------------------------

async function four({ directory, binary, seed, isShort }: Setting): Promise<string> {
  const network = await Network.make(directory, binary, 4);
  const { pairs } = network;
  const serving: Partial<NodeOptions> = { snapshotBlocks: 10, corrupts: true };
  await Promise.all(pairs.map((pair) => pair.start(network.peers, serving)));
  network.load(50);
  const blocks = isShort ? 20 : 50;
  const [first] = pairs as [Pair];
  await first.reaches(11);
  const victim = pairs[1 + (seed % 3)] as Pair;
  await victim.kill();
  const without = (await first.height()) + 3;
  await Promise.all(pairs.filter((pair) => pair !== victim).map((pair) => pair.reaches(without)));
  await victim.start(network.peers, serving);
  await Promise.all(pairs.map((pair) => pair.reaches(blocks)));
  for (let height = 1; height < blocks; height++) await sameHash(pairs, height);
  const fifth = await network.add("node4");
  await trust(fifth, first);
  await fifth.start(network.peers);
  await fifth.reaches((await first.height()) + 1);
  const status = await fifth.ask("status");
  const earliest = Number(status.sync_info.earliest_block_height);
  assert.ok(earliest > 1, "it has fetched all blocks");
  const last = (await fifth.height()) - 1;
  await sameHash(network.pairs, last);
  const refusal = await trustsTooOld(network);
  await network.kill();
  return `${last} heights, joined at ${earliest}; with a header that is too old: ${refusal}`;
}

/** A node that trusts a header from longer ago than it may is told so, and joins when it trusts a new one. */
async function trustsTooOld(network: Network): Promise<string> {
  const [first] = network.pairs as [Pair];
  const late = await network.add("late");
  await trust(late, first, 1);
  late.configure({ trust_period: '"1s"' });
  await late.start(network.peers);
  // CometBFT says so and looks for other snapshots: it is for the operator to stop it.
  const refusal = (): string | undefined =>
    /verify from #1 [^\n]*old header has expired/.exec(late.output)?.[0];
  await until(async () => refusal() !== undefined);
  assert.equal(await late.height(), 0);
  const said = refusal() as string;
  await late.kill();
  late.wipe("comet");
  await trust(late, first);
  late.configure({ trust_period: '"168h0m0s"' });
  await late.start(network.peers);
  await late.reaches((await first.height()) + 1);
  await sameHash(network.pairs, (await late.height()) - 1);
  return said;
}

async function powers({ directory, binary }: Setting): Promise<string> {
  const network = await Network.make(directory, binary, 1);
  const [first] = network.pairs as [Pair];
  const second = await network.add("second");
  await network.start();
  await Promise.all(network.pairs.map((pair) => pair.reaches(3)));
  const address = second.validator.address;
  const isSigning = async (): Promise<boolean> => {
    // Of the last height there is only what had come when the block was decided.
    const height = String((await first.height()) - 1);
    const { signed_header: signed } = await first.ask("commit", { height });
    return signed.commit.signatures.some((each: Said) => each.validator_address === address);
  };
  assert.equal(await isSigning(), false);
  // Less than a third, so that the first continues alone.
  assert.equal(await first.send([network.wallet.setPower(second.key, 2n)]), 1);
  await until(isSigning);
  await doubleSigns(network, second);
  assert.equal(await first.send([network.wallet.setPower(second.key, 0n)]), 1);
  await until(async () => (await first.ask("validators")).validators.length === 1);
  await until(async () => !(await isSigning()));
  await sameHash(network.pairs, (await second.height()) - 1);
  await network.kill();
  return "";
}

/** A validator signs two votes of a height; whoever has seen both tells the network, and it the contract. */
async function doubleSigns({ pairs }: Network, by: Pair): Promise<void> {
  const [first] = pairs as [Pair];
  await first.ask("broadcast_evidence", { evidence: await doubleVote(by, (await first.height()) - 1) });
  await until(async () => {
    const { total_count: count } = await first.ask("block_search", { query: "DoubleSigned.times='1'" });
    return Number(count) > 0;
  });
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error("it took more than a minute");
    await sleep(100);
  }
}
