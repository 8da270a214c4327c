/** What the inspector says of a store, against what the runtime's own functions say. */

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Query } from "../../runtime/inspector/query.ts";
import { Source } from "../../runtime/inspector/source.ts";
import {
  batchView,
  itemView,
  meetingsView,
  meetingView,
  placeView,
} from "../../runtime/inspector/views/batch.ts";
import { blockView } from "../../runtime/inspector/views/block.ts";
import { chainView } from "../../runtime/inspector/views/chain.ts";
import { diffView, partView } from "../../runtime/inspector/views/compare.ts";
import { faultsView, gasView } from "../../runtime/inspector/views/gas.ts";
import { memoryView, stateView } from "../../runtime/inspector/views/memory.ts";
import { pagesView, processesView } from "../../runtime/inspector/views/processes.ts";
import { proofView } from "../../runtime/inspector/views/proof.ts";
import { transactionsView } from "../../runtime/inspector/views/transactions.ts";
import { verify, verifyHeader } from "../../runtime/proof/verify.ts";
import { openReader, type Reader } from "../../runtime/store.ts";
import { alice, bob, openCoins } from "../validator/coins.ts";
import {
  ALICE,
  FORK,
  makeStore,
  openBank,
  PEOPLE,
  PLANTED,
  SIDE,
  sourceOf,
  TOP,
  TRANSACTIONS,
} from "./bank-store.ts";

const parent = mkdtempSync(join(tmpdir(), "stillpoint-inspector-"));
const [path, other] = [join(parent, "one"), join(parent, "other")];
let source: Source;
let reader: Reader;
let otherReader: Reader;

before(async () => {
  await makeStore(path);
  await makeStore(other, 1n);
  otherReader = await openReader(other);
  ({ source, reader } = await sourceOf(path, { other: otherReader }));
});
after(async () => {
  await reader.close();
  await otherReader.close();
  await rm(parent, { recursive: true });
});

/** A query with these parameters. */
const asked = (parameters: Record<string, string | number> = {}): Query => {
  const entries = Object.entries(parameters).map(([name, value]) => [name, String(value)]);
  return new Query(new URLSearchParams(entries), Object.keys(parameters));
};

test("the chain: every block once, side branches in lanes of their own, pins, what is durable", () => {
  const view = chainView(source, asked());
  assert.equal(view.count, TOP + 1 + SIDE);
  assert.deepEqual([view.bottom, view.top, view.head?.id], [0, TOP, reader.head.id]);
  const retained = reader.retained();
  assert.deepEqual(view.rows.map(({ id }) => id).sort(), retained.map(({ id }) => id).sort());
  const pinned = new Set(reader.pinned().map(({ id }) => id));
  for (const row of view.rows) {
    assert.equal(row.pinned, pinned.has(row.id));
    assert.equal(row.durable, true);
    assert.equal(row.lane === 0, row.chain);
  }
  assert.equal(view.rows.filter(({ chain }) => !chain).length, SIDE);
  assert.deepEqual(
    view.tips.map(({ height }) => height),
    [FORK + SIDE],
  );
  const gas = view.cells.reduce((sum, cell) => sum + cell.gasSum, 0);
  assert.equal(
    gas,
    retained.reduce((sum, block) => sum + block.gasUsed, 0),
  );
  const part = chainView(source, asked({ at: 2 }));
  assert.deepEqual(
    part.rows.map(({ height }) => height),
    [2, 1, 0],
  );
  assert.deepEqual([part.older, part.newer], [null, TOP]);
});

test("a block: by id or height, what it was made from, and how many transactions failed", () => {
  const view = blockView(source, asked({ height: 3 }));
  const block = reader.blocks()[3];
  assert.deepEqual([view.id, view.root, view.gasUsed], [block?.id, block?.root, block?.gasUsed]);
  assert.equal(view.input?.metadata.bytes, reader.input(block).metadata.length);
  assert.deepEqual(view.transactions, { count: TRANSACTIONS, failed: 1 });
  assert.ok(view.input?.programs.some(({ contracts }) => contracts.includes("Bank")));
  assert.deepEqual(blockView(source, asked({ block: view.id })), view);
  assert.throws(() => blockView(source, asked({ height: 99 })), { code: "NOT_RETAINED", message: /0 to 7/ });
});

test("transactions: calls, arguments and outcomes", () => {
  const view = transactionsView(source, asked({ block: blockView(source, asked({ height: 3 })).id }));
  assert.ok("areRead" in view);
  assert.deepEqual([view.count, view.failed, view.next], [TRANSACTIONS, 1, null]);
  const [first, last] = [view.rows[0], view.rows.at(-1)];
  assert.deepEqual([first?.call, first?.ok, first?.from], ["Bank.pay", true, ALICE]);
  assert.match(first?.args ?? "", /^from: 0xa0a0.*, to: 0xa1a1.*, amount: 2$/);
  assert.match(first?.events[0] ?? "", /^Paid\(from: 0xa0.*amount: 2\)$/);
  assert.deepEqual([last?.ok, last?.result], [false, "overdraft"]);
  assert.match(last?.at ?? "", /^bank\.ts:\d+$/);
});

test("signed transactions: who signed, and which call", async () => {
  await using app = await openCoins();
  const pay = app.client.Coins?.pay?.({ to: bob.address, amount: 5n });
  void app.submit(app.encode(pay as never, { by: alice, nonce: 0n, lastHeight: 9 }));
  const { block } = await app.produce();
  const none = () => Promise.reject(new Error("nothing is executed"));
  const signed = new Source({
    ...{ name: "app", kind: "runtime", chain: app.runtime, trace: none, record: none },
    recorded: async () => null,
  });
  const view = transactionsView(signed, asked({ block: block.id }));
  assert.ok("areRead" in view);
  const { areRead, rows } = view;
  assert.equal(areRead, true);
  const [row] = rows;
  const args = `to: ${bob.address}, amount: 5`;
  assert.deepEqual([rows.length, row?.call, row?.from, row?.args], [1, "Coins.pay", alice.address, args]);
});

test("processes and pages: what changed is what the diff says", () => {
  const { id, parent: base } = reader.head;
  const root = processesView(source, asked({ block: id }));
  assert.deepEqual(
    root.children.rows.map(({ number, change }) => [number, change]),
    [[1, "changed"]],
  );
  const view = processesView(source, asked({ block: id, path: "/1" }));
  const differences = reader.diff(base === undefined ? 0 : reader.blockOf(base), reader.head).differences;
  const pages = new Set<number>();
  for (const each of differences) {
    if (each.kind !== "memory" || each.path.join() !== "1") continue;
    const last = Math.floor((each.address + each.length - 1) / 4096);
    for (let page = Math.floor(each.address / 4096); page <= last; page++) pages.add(page);
  }
  assert.ok(pages.size > 2);
  assert.equal(view.self.pagesChanged, pages.size);
  const heat = pagesView(source, asked({ block: id, path: "/1" }));
  assert.equal(heat.cells.changed, pages.size);
  assert.deepEqual(
    heat.pages.map(({ page }) => page),
    [...pages].sort((a, b) => a - b),
  );
  assert.equal(
    heat.cells.cells.reduce((sum, { changed }) => sum + changed, 0),
    pages.size,
  );
  assert.equal(view.self.view?.hash, reader.inspect([1])?.hash);
  // A block that is compared with itself has changed nothing.
  assert.equal(pagesView(source, asked({ block: id, path: "/1", base: id })).cells.changed, 0);
  assert.match(
    processesView(source, asked({ block: reader.blocks()[0]?.id ?? "" })).compared.reason ?? "",
    /first/,
  );
  assert.throws(() => processesView(source, asked({ path: "/7" })), { code: "NO_PROCESS" });
});

test("memory: bytes, names, and collections as values", async () => {
  const app = await openBank(path);
  const accounts = app.state.accounts?.entries() as [string, { balance: bigint }][];
  await app.close();
  const state = stateView(source, asked({ path: "/1", name: "accounts" }));
  assert.equal(state.count, PEOPLE.length);
  const sorted = state.entries.toSorted((a, b) => String(a.key).localeCompare(String(b.key)));
  assert.deepEqual(
    sorted.map(({ key }) => key),
    [...PEOPLE],
  );
  const alice = state.entries.find(({ key }) => key === ALICE);
  const balance = accounts.find(([key]) => key === ALICE)?.[1].balance;
  assert.match(alice?.value ?? "", new RegExp(`^\\{ balance: ${balance}, nonce: `));
  const address = alice?.address ?? 0;
  const view = memoryView(source, asked({ path: "/1", address, length: 64, base: reader.head.parent }));
  assert.equal(view.hex, Buffer.from(reader.read([1], address, 64)).toString("hex"));
  assert.equal(Buffer.from(view.hex, "hex").readBigUInt64LE(), balance);
  assert.notEqual(view.base?.hex, view.hex);
  const named = view.names.find(({ name }) => name === `accounts[${ALICE}]`);
  assert.equal(named?.value, alice?.value);
  assert.deepEqual(
    view.regions.map(({ name, type }) => [name, type]),
    [
      ["accounts", "StateMap<Address, Account>"],
      ["fees", "StateCell<u64>"],
    ],
  );
  assert.throws(() => stateView(source, asked({ path: "/1", name: "nothing" })), {
    message: /accounts, fees/,
  });
});

test("differences: down to bytes, with names", () => {
  const [a, b] = [reader.blocks()[5], reader.blocks()[6]];
  const view = diffView(source, asked({ a: a?.id ?? "", b: b?.id ?? "", path: "/1" }));
  const memory = reader
    .diff(a ?? 0, b ?? 0)
    .differences.flatMap((each) => (each.kind === "memory" && each.path.join() === "1" ? [each] : []));
  const bytes = memory.reduce((sum, { length }) => sum + length, 0);
  assert.equal(view.processes.find(({ path: of }) => of.join() === "1")?.bytes, bytes);
  assert.equal(
    view.ranges.reduce((sum, range) => sum + range.bytes, 0),
    bytes,
  );
  assert.ok(view.ranges.some(({ name }) => name === `accounts[${ALICE}].balance`));
  assert.ok(view.ranges.some(({ name }) => name === "fees"));
  const fees = view.ranges.find(({ name }) => name === "fees");
  const [before, now] = [fees?.before, fees?.after].map((hex) => Number.parseInt(hex?.slice(0, 2) ?? "", 16));
  assert.equal((now ?? 0) - (before ?? 0), TRANSACTIONS - 1);
});

test("two stores: the first block that differs, and the planted byte", () => {
  const view = partView(source, asked({ other: "other", path: "/1" }));
  assert.equal(view.height, PLANTED);
  assert.equal(view.a.id, reader.blocks()[PLANTED]?.id);
  const range = view.ranges.find(({ name }) => name === `accounts[${ALICE}].balance`);
  const [mine, its] = [range?.before, range?.after].map((hex) => Number.parseInt(hex?.slice(0, 2) ?? "", 16));
  assert.notEqual(mine, its);
  const { address = 0 } = range ?? {};
  assert.equal(reader.read([1], address, 1, PLANTED)[0], mine);
  assert.equal(otherReader.read([1], address, 1, PLANTED)[0], its);
  assert.throws(() => partView(source, asked({ other: "/etc" })), {
    code: "BAD_ARGUMENT",
    message: /there are: other/,
  });
});

test("gas: that of all processes is that of the block; faults have the author's lines", async () => {
  const block = reader.blocks()[3];
  const view = await gasView(source, asked({ block: block?.id ?? "" }));
  assert.equal(view.sameRoot, true);
  assert.equal(view.total, block?.gasUsed);
  assert.deepEqual(view.processes.map(({ path: of }) => of.join("/")).sort(), ["", "1"]);
  assert.deepEqual(
    view.functions.map(({ call, count, failed }) => [call, count, failed]),
    [["Bank.pay", TRANSACTIONS, 1]],
  );
  const { faults, count } = await faultsView(source, asked({ block: block?.id ?? "" }));
  assert.equal(count, 1);
  assert.deepEqual([faults[0]?.item, faults[0]?.fault], [TRANSACTIONS - 1, "abort"]);
  assert.match(faults[0]?.call ?? "", /^Bank\.pay\(.*amount: 1000000\)$/);
  assert.match(faults[0]?.stack[0]?.place ?? "", /^bank\.ts:\d+$/);
  await assert.rejects(gasView(source, asked({ block: reader.blocks()[0]?.id ?? "" })), {
    message: /block 0/,
  });
});

test("a batch: items that met, over which account, and the critical path", async () => {
  const block = reader.blocks()[3]?.id ?? "";
  const { source: from, batch } = await batchView(source, asked({ block }));
  assert.equal(from, "again", "nobody recorded it");
  assert.ok(batch !== null);
  assert.deepEqual([batch.row.items, batch.row.parallel], [TRANSACTIONS, TRANSACTIONS]);
  // Which chain is the critical one depends on times: an item alone can take longest. Depths do not.
  assert.ok(batch.graph.dependent > 0 && batch.graph.critical.count > 0);
  assert.ok(batch.graph.depths.length > 1, "items wait for others that wait");
  const place = batch.places[0] ?? assert.fail();
  assert.match(place.name ?? "", /^accounts\[0xa\d/);
  const { touches } = await placeView(source, asked({ block, line: place.line }));
  assert.equal(touches.length, place.items);
  const reads = touches.find((touch) => touch.from !== null && touch.from >= 0) ?? assert.fail();
  const item = await itemView(source, asked({ block, item: reads.item }));
  assert.ok(item.waitedFor.includes(reads.from ?? -1));
  assert.match(item.call ?? "", /^Bank\.pay\(from: 0xa/);
  const meeting = await meetingView(source, asked({ block }));
  assert.equal(meeting.dependent, batch.graph.dependent);
  assert.ok((await meetingsView(source, asked())).meetings.some(({ id }) => id === block));
});

test("a proof leads from the id to the bytes", () => {
  const view = proofView(source, asked({ path: "/1", address: 64, length: 16 }));
  const { root } = verifyHeader(reader.head.id, Buffer.from(view.header, "hex"));
  const statement = verify(root, Buffer.from(view.proof, "hex"));
  assert.ok(statement.absent === null);
  assert.deepEqual(Buffer.from(statement.bytes), Buffer.from(reader.read([1], 64, 16)));
});

test("parameters that are not what they must be are refused", () => {
  const wrong: [Record<string, string | number>, (query: Query) => unknown][] = [
    [{ block: "7" }, (query) => query.id()],
    [{ block: "Z".repeat(64) }, (query) => query.id()],
    [{ path: "1/2" }, (query) => query.path()],
    [{ path: `/${"1/".repeat(300)}1` }, (query) => query.path()],
    [{ from: "-1" }, (query) => query.integer("from", 0, 0, 10)],
    [{ from: "1e9" }, (query) => query.integer("from", 0, 0, 10)],
    [{ from: 11 }, (query) => query.integer("from", 0, 0, 10)],
    [{ changed: "yes" }, (query) => query.flag("changed")],
    [{ name: "x".repeat(301) }, (query) => query.text("name")],
  ];
  for (const [parameters, take] of wrong) {
    assert.throws(() => take(asked(parameters)), { code: "BAD_ARGUMENT" }, JSON.stringify(parameters));
  }
  assert.throws(() => new Query(new URLSearchParams("a=1"), ["b"]), {
    code: "BAD_ARGUMENT",
    message: /there is no parameter "a"; there are: b$/,
  });
  assert.throws(() => new Query(new URLSearchParams("b=1&b=2"), ["b"]), { code: "BAD_ARGUMENT" });
});
