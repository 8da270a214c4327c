/** Histories as values: against a model, and how many blocks an operation looks at. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Archive } from "../../runtime/chain/archive.ts";
import type { Block, Retained } from "../../runtime/chain/block.ts";
import { type Change, History } from "../../runtime/chain/history.ts";
import type { KnownRules } from "../../runtime/chain/rulebook.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";
import { ARCHIVE, HistoryModel } from "./history-model.ts";

/** A history does not look at them. */
const RULES = {} as KnownRules;

function entryOf(id: string, height: number, parent: string): Retained {
  const block: Block = { id, height, parent, root: "", data: new Uint8Array(), gasUsed: 0, ended: false };
  return { block, ref: 0, before: null, metadata: 0, budget: 0, rules: RULES, change: 0 };
}

const FIRST = entryOf("0", 0, "genesis");
const ids = (entries: readonly Retained[]): string[] => entries.map(({ block }) => block.id);
const forgetting = (entries: readonly Retained[]): Change[] =>
  entries.map(({ block }) => ({ kind: "forget", block }));

/** A history, and what it must be. */
interface Version {
  readonly own: History;
  readonly model: HistoryModel;
}

const archive = Archive.empty(ARCHIVE, ({ block, budget }) => ({
  block,
  metadata: new Uint8Array(),
  gasLimit: budget,
}));

/** The blocks that are kept without their states: all by id, those of the chain by height. */
function checkArchive({ own, model }: Version): void {
  const expected = model.archivedChain();
  for (let height = 0; height <= own.head.block.height; height++) {
    const found = own.archived(height)?.block.id;
    if (!model.archive.hasMoved) assert.equal(found, expected.get(height), `height ${height}`);
    else if (found !== undefined) assert.equal(found, expected.get(height), `height ${height}`);
  }
  const kept = [...model.archive.blocks.values()].map(({ id }) => id);
  for (const id of kept) assert.equal(own.archived(id)?.block.id, id);
  for (const { block } of own.all()) {
    if (!kept.includes(block.id)) assert.equal(own.archived(block.id), null);
  }
}

function check({ own, model }: Version): void {
  checkArchive({ own, model });
  const chain = own.chain();
  assert.deepEqual(ids(chain), model.chain());
  assert.deepEqual(
    chain.map(({ block }) => block.height),
    chain.map((_, i) => own.base + i),
  );
  assert.deepEqual(ids(own.all()), model.all());
  assert.equal(own.head.block.id, model.head);
  assert.equal(own.size, model.blocks.length);
  for (const { block } of own.all()) {
    assert.equal(own.isPinned(block), model.pinned.has(block.id));
    assert.equal(own.isOnChain(block), model.chain().includes(block.id));
    assert.equal(own.find(block).block, block);
  }
  for (const limit of [1, 3, 10]) assert.deepEqual(ids(own.excess(limit)), model.excess(limit));
  // A history that is made of the same blocks at once is the same.
  const pinned = own.all().flatMap(({ block }) => (own.isPinned(block) ? [block] : []));
  const again = History.of(
    model.blocks.map((block) => own.get(block) as Retained),
    own.head.block,
    pinned,
  );
  for (const limit of [1, 3, 10]) assert.deepEqual(ids(again.excess(limit)), model.excess(limit));
}

/** A random change, and what the model does. */
function step({ own, model }: Version, next: (limit: number) => number): Version {
  const all = own.all();
  const { block } = all[next(all.length)] as Retained;
  const apply = (changes: readonly Change[], result: HistoryModel): Version => ({
    own: own.apply(changes),
    model: result,
  });
  switch (next(8)) {
    case 0:
    case 1:
      return apply([{ kind: "goTo", block }], model.goTo(block.id));
    case 2:
      return apply([{ kind: "pin", block }], model.setPinned(block.id, true));
    case 3:
      return apply([{ kind: "unpin", block }], model.setPinned(block.id, false));
    case 4: {
      const over = own.excess(1 + next(8));
      return apply(forgetting(over), model.forget(ids(over)));
    }
    default: {
      const { id, height } = own.head.block;
      // Few names, so that blocks are made again, also ones whose children are still there.
      const made = entryOf(`${id}${next(3)}`, height + 1, id);
      return apply([{ kind: "push", entry: made }], model.push(made.block));
    }
  }
}

test("any changes give what a list gives, and leave every other version as it was", (t) => {
  const seed = baseSeed(t);
  for (let round = 0; round < 30; round++) {
    const next = random(seed + round);
    const versions: Version[] = [
      { own: History.of([FIRST], FIRST.block, [], archive), model: new HistoryModel([FIRST.block], "0") },
    ];
    for (let i = 0; i < 120; i++) {
      // Mostly the newest one, sometimes one of long ago.
      const at = next(6) === 0 ? next(versions.length) : versions.length - 1;
      versions.push(step(versions[at] as Version, next));
    }
    for (const version of versions) check(version);
  }
});

test("a change that cannot be is a defect, not another history", () => {
  const one = entryOf("1", 1, "0");
  const history = History.of([FIRST], FIRST.block).apply([{ kind: "push", entry: one }]);
  const wrong: readonly [Change, RegExp][] = [
    [{ kind: "push", entry: entryOf("x", 3, "1") }, /not on top/],
    [{ kind: "push", entry: entryOf("x", 2, "0") }, /not on top/],
    [{ kind: "goTo", block: { id: "x", height: 1 } }, /not retained/],
    [{ kind: "forget", block: one.block }, /the head/],
    [{ kind: "forget", block: { id: "x", height: 0 } }, /not retained/],
    [{ kind: "pin", block: { id: "x", height: 1 } }, /not retained/],
  ];
  for (const [change, message] of wrong) {
    assert.throws(() => history.apply([change]), { code: "KERNEL_PANIC", message });
  }
  const pinned = history.apply([{ kind: "pin", block: FIRST.block }]);
  assert.throws(() => pinned.apply([{ kind: "forget", block: FIRST.block }]), { message: /a pinned/ });
});

// ---- work -------------------------------------------------------------------------------------------------

/** A chain of so many blocks, with side branches all along it and a few pins, that counts looks at blocks. */
function counted(length: number): { history: History; looks: () => number } {
  let count = 0;
  const countedEntry = (id: string, height: number, parent: string): Retained => {
    const { block, ...rest } = entryOf(id, height, parent);
    const entry = { ...rest } as { -readonly [name in keyof Retained]: Retained[name] };
    Object.defineProperty(entry, "block", {
      get: () => {
        count++;
        return block;
      },
    });
    return entry;
  };
  const entries: Retained[] = [];
  for (let height = 0; height < length; height++) {
    entries.push(countedEntry(`${height}`, height, `${height - 1}`));
    if (height % 10 === 5) entries.push(countedEntry(`side ${height}`, height, `${height - 1}`));
  }
  const pinned = entries.flatMap(({ block }) =>
    block.height % 20 === 7 && block.height < 60 ? [block] : [],
  );
  const history = History.of(entries, { id: `${length - 1}`, height: length - 1 }, pinned);
  count = 0;
  const looks = (): number => {
    const result = count;
    count = 0;
    return result;
  };
  return { history, looks };
}

test("no operation looks at more blocks in a history of 100,000 than in one of 100", () => {
  const work = [100, 100_000].map((length) => {
    const { history, looks } = counted(length);
    const { height, id } = history.head.block;
    const limit = history.size;
    const seen: Record<string, number> = {};
    const count = (name: string, use: () => void): void => {
      looks();
      use();
      seen[name] = looks();
    };
    count("a block at the limit", () => {
      const pushed = history.apply([{ kind: "push", entry: entryOf("new", height + 1, id) }]);
      pushed.apply(forgetting(pushed.excess(limit - 5)));
    });
    count("revert by one", () => history.apply([{ kind: "goTo", block: history.find(height - 1).block }]));
    const far = history.find(2).block;
    count("revert over nearly all", () => history.apply([{ kind: "goTo", block: far }]));
    count("find by height and by value", () => {
      history.find(height >> 1);
      history.find(far);
    });
    count("pin", () => history.apply([{ kind: "pin", block: far }]));
    return seen;
  });
  const [short, long] = work as [Record<string, number>, Record<string, number>];
  for (const [name, looks] of Object.entries(long)) {
    assert.ok(looks <= 1.3 * (short[name] as number), `${name}: ${looks}, ${short[name]}`);
  }
});
