/** Differences between blocks against a comparison of all processes and all bytes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Difference, formatDiff } from "../../runtime/debug.ts";
import type { Block, Runtime } from "../../runtime/index.ts";
import { quota, SCRATCH } from "../driver.ts";
import { DRIVER_HASH, open, play, withRuntime } from "../fixture.ts";
import { type Path, pathsOf, withTrees } from "../proof/trees.ts";
import { baseSeed } from "../seed.ts";

/** All differences, by looking at everything. */
function naive(runtime: Runtime, a: Block, b: Block): Difference[] {
  const keys = new Map<string, Path>();
  for (const path of [...pathsOf(runtime, a), ...pathsOf(runtime, b)]) keys.set(path.join("/"), path);
  const paths = [...keys.values()].sort(comparePaths);
  return paths.flatMap((path): Difference[] => {
    const before = runtime.inspect(path, a);
    const after = runtime.inspect(path, b);
    if (before === null || after === null) {
      return [{ kind: before === null ? "added" : "removed", path, process: anything }];
    }
    const size = Math.max(before.memoryBytes, after.memoryBytes);
    const left = Buffer.alloc(size);
    left.set(runtime.read(path, 0, before.memoryBytes, a));
    const right = Buffer.alloc(size);
    right.set(runtime.read(path, 0, after.memoryBytes, b));
    return ranges(left, right).map(([address, length]) => ({ kind: "memory", path, address, length }));
  });
}

const anything = {} as Extract<Difference, { kind: "added" }>["process"];

function comparePaths(a: Path, b: Path): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number);
  }
  return a.length - b.length;
}

function ranges(left: Buffer, right: Buffer): [address: number, length: number][] {
  const found: [number, number][] = [];
  for (let page = 0; page < left.length; page += 4096) {
    if (left.compare(right, page, page + 4096, page, page + 4096) === 0) continue;
    for (let i = page; i < page + 4096; i++) {
      if (left[i] === right[i]) continue;
      const last = found.at(-1);
      if (last !== undefined && last[0] + last[1] === i) last[1]++;
      else found.push([i, 1]);
    }
  }
  return found;
}

test("the difference of any two blocks is that of all their processes and bytes", async (t) => {
  await withTrees(baseSeed(t), 4, (runtime, blocks) => {
    const kinds = new Set<string>();
    for (const a of blocks) {
      for (const b of blocks) {
        const { differences, truncated } = runtime.diff(a, b, { limit: 1_000_000 });
        assert.equal(truncated, false);
        const states = differences.flatMap((difference): Difference[] => {
          kinds.add(difference.kind);
          if (difference.kind === "changed") return [];
          return difference.kind === "memory" ? [difference] : [{ ...difference, process: anything }];
        });
        assert.deepEqual(states, naive(runtime, a, b), `${a.height} to ${b.height}`);
        checkFields(runtime, a, b, differences);
        assert.deepEqual(runtime.diff(a.height, b.height, { limit: 1_000_000 }).differences, differences);
      }
    }
    assert.deepEqual([...kinds].sort(), ["added", "changed", "memory", "removed"]);
  });
});

/** Fields that differ are reported for a process exactly if what `inspect` shows of it differs in them. */
function checkFields(runtime: Runtime, a: Block, b: Block, differences: readonly Difference[]): void {
  const changed = new Map(
    differences.flatMap((difference) =>
      difference.kind === "changed" ? [[difference.path.join("/"), difference.fields] as const] : [],
    ),
  );
  for (const path of pathsOf(runtime, a)) {
    const before = runtime.inspect(path, a);
    const after = runtime.inspect(path, b);
    if (before === null || after === null) continue;
    const fields = new Map(
      (changed.get(path.join("/")) ?? []).map(({ field, ...values }) => [field, values]),
    );
    const reported = (field: Parameters<typeof fields.get>[0]) => fields.get(field);
    const expected = <T>(x: T, y: T) => (x === y ? undefined : { before: x, after: y });
    assert.deepEqual(reported("gasUsed"), expected(before.gasUsed, after.gasUsed));
    assert.deepEqual(reported("code"), expected(before.code, after.code));
    assert.deepEqual(reported("program"), expected(before.program, after.program));
    assert.deepEqual(reported("reference"), expected(before.reference, after.reference));
    assert.deepEqual(reported("childCount"), expected(before.children.length, after.children.length));
    assert.deepEqual(reported("processQuota"), expected(before.quota.processes, after.quota.processes));
    for (const field of fields.keys()) assert.ok(field !== "memory" && field !== "children", field);
  }
}

test("a limit cuts the difference off and says so", async (t) => {
  await withTrees(baseSeed(t), 2, (runtime, blocks) => {
    const [a, b] = [blocks[0], blocks[2]] as [Block, Block];
    const all = runtime.diff(a, b, { limit: 1_000_000 }).differences;
    assert.ok(all.length > 10);
    for (const limit of [0, 1, 7, all.length - 1]) {
      assert.deepEqual(runtime.diff(a, b, { limit }), { differences: all.slice(0, limit), truncated: true });
    }
    assert.deepEqual(runtime.diff(a, b, { limit: all.length }), { differences: all, truncated: false });
    assert.deepEqual(runtime.diff(b, b, { limit: 0 }), { differences: [], truncated: false });
    assert.throws(() => runtime.diff(a, b, { limit: -1 }), { code: "BAD_OPTION" });
    assert.throws(() => runtime.diff(a, 3), { code: "NOT_RETAINED" });
  });
});

test("a limit for each process leaves room for those behind one that changed much", async (t) => {
  await withTrees(baseSeed(t), 4, (runtime, blocks) => {
    const [a, b] = [blocks[1], blocks[2]] as [Block, Block];
    const all = runtime.diff(a, b, { limit: 1_000_000 }).differences;
    const seen = new Map<string, number>();
    const expected = all.filter((difference) => {
      const key = difference.path.join("/");
      const count = seen.get(key) ?? 0;
      if (difference.kind === "memory") seen.set(key, count + 1);
      return difference.kind !== "memory" || count < 1;
    });
    assert.ok(expected.length < all.length && seen.size > 1);
    const cut = runtime.diff(a, b, { limit: 1_000_000, limitOfProcess: 1 });
    assert.deepEqual(cut, { differences: expected, truncated: true });
    assert.throws(() => runtime.diff(a, b, { limitOfProcess: -1 }), { code: "BAD_OPTION" });
  });
});

test("blocks that were reverted can be compared as long as they are retained", async () => {
  await withRuntime([], {}, async (runtime) => {
    const { block: one } = await play(runtime, (script) => script.fill(SCRATCH, 5000, 1));
    await runtime.revert(0);
    const { block: two } = await play(runtime, (script) => script.fill(SCRATCH, 5000, 2));
    const { differences } = runtime.diff(one, two);
    const memory = differences.filter((difference) => difference.kind === "memory");
    assert.ok(memory.some(({ address, length }) => address === SCRATCH && length === 5000));
  });
});

test("a diff as text", async () => {
  const runtime = await open();
  try {
    const run = { entry: "run", argument: 0n, gas: 1_000_000 };
    const { block: a } = await play(runtime, (script) => {
      script.put(3, { program: DRIVER_HASH, memoryQuotaPages: quota(80), start: { ...run, entry: "none" } });
      script.put(4, { program: DRIVER_HASH, memoryQuotaPages: quota(80) });
    });
    const { block: b } = await play(runtime, (script) => {
      script.put(4, { start: run });
      script.get(4, { status: true });
      script.put(5, { program: DRIVER_HASH, memoryQuotaPages: quota(80) });
      script.put(4, { ranges: [{ source: Uint8Array.of(1, 0, 2), target: SCRATCH }] });
      script.put(4, { ranges: [{ source: Uint8Array.of(9), target: SCRATCH + 500 }] });
    });
    const text = formatDiff(runtime.diff(a, b));
    const program = `${Buffer.from(DRIVER_HASH).toString("hex").slice(0, 8)}…`;
    assert.equal(runtime.inspect([4])?.status, "returned");
    const lines = text.split("\n");
    assert.match(lines[0] as string, /^\/ {4}(\w+ \S+ → \S+(, )?)+$/);
    assert.ok(
      lines.some((line) => /^\/4 {3}.*\bstatus fresh → returned\b.*, started 0 → 1$/.test(line)),
      text,
    );
    assert.ok(lines.includes("/4   memory 0x200000 to 0x200002: 2 bytes in 2 ranges"), text);
    assert.ok(lines.includes("/4   memory 0x2001f4 to 0x2001f4: 1 byte in 1 range"), text);
    assert.ok(lines.includes(`/5   added: fresh, 80 × 64 KiB, program ${program}`), text);
    const back = formatDiff(runtime.diff(b, a)).split("\n");
    assert.ok(back.includes(`/5   removed: fresh, 80 × 64 KiB, program ${program}`));
    assert.equal(formatDiff(runtime.diff(a, b, { limit: 0 })), "and more");
    assert.equal(formatDiff(runtime.diff(a, a)), "");
  } finally {
    await runtime.close();
  }
});

test("nothing but the difference is looked at", async () => {
  await withRuntime([], {}, async (runtime) => {
    await play(runtime, (script) => script.fill(SCRATCH, 1 << 20, 3));
    const before = runtime.head;
    const { block: after } = await play(runtime, (script) => script.fill(SCRATCH + 4096 * 10, 4, 7));
    const { heap } = runtime.engine;
    const resolve = heap.resolve.bind(heap);
    let looks = 0;
    heap.resolve = (ref) => {
      looks++;
      return resolve(ref);
    };
    const { differences } = runtime.diff(before, after);
    heap.resolve = resolve;
    assert.ok(differences.some((d) => d.kind === "memory" && d.address === SCRATCH + 4096 * 10));
    assert.ok(looks > 0 && looks < 100, `${looks} objects of more than 256`);
  });
});
