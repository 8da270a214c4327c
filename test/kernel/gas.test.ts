/**
 * Gas and quotas are conserved: what leaves a counter is used, held by somebody, or comes back; exactly once.
 *
 * Random trees are checked against the records (invariants.ts), and against themselves with other amounts of
 * gas. The sum rules of faults, drops, retries and children that run over a SNAPSHOT each have a test.
 */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { programHash, type Runtime } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, Script } from "../driver.ts";
import { DRIVER_HASH, guest, open, play, withRuntime } from "../fixture.ts";
import { baseSeed } from "../seed.ts";
import { checkTree } from "./invariants.ts";
import { randomTree } from "./trees.ts";

const trap = await guest("trap");
const spin = await guest("spin");
const TRAP = programHash(trap);
const SPIN = programHash(spin);
const MEMORY = 2 ** 20;
const PROCESSES = 4000;
const GAS = 5_000_000;
const INNER = 0x200000;

let runtime: Runtime;
before(async () => {
  runtime = await open([trap, spin], {
    memoryQuotaPages: MEMORY,
    processQuota: PROCESSES,
    gasLimit: 4_000_000_000,
  });
});
after(() => runtime.close());

/** Gas that runnable processes hold, all quotas checked. */
function held(on: Runtime): number {
  const { gas, memory, slots } = checkTree(on);
  assert.deepEqual([memory, slots], [MEMORY, PROCESSES + 1]);
  return gas;
}

/** A block's gasUsed. */
async function used(write: (s: Script) => unknown, gasLimit?: number): Promise<number> {
  const { block } = await play(runtime, write, gasLimit === undefined ? {} : { gasLimit });
  held(runtime);
  return block.gasUsed;
}

/** A driver as child 1 that runs `write`'s script with `gas`, and is joined or not. */
function childScript(s: Script, write: (inner: Script) => void, gas: number, join = true): void {
  const inner = new Script({ base: INNER });
  write(inner);
  s.put(1, {
    program: DRIVER_HASH,
    memoryQuotaPages: quota(100),
    processQuota: 8,
    heldGas: 1e9,
    ranges: [{ source: inner.metadata(), target: INNER }],
    start: { entry: "run", argument: BigInt(INNER), gas },
  });
  if (join) s.get(1, { status: true });
}

test("random trees keep their sums, block after block", async (t) => {
  const seed = baseSeed(t);
  for (const workers of [1, 3]) {
    await withRuntime([], { memoryQuotaPages: MEMORY, processQuota: PROCESSES, workers }, async (other) => {
      let most = 0;
      let running = 0;
      for (let i = 0; i < 12; i++) {
        const before = held(other);
        const script = randomTree(seed + i, { depth: 3, children: 4 });
        const block = await other.produce(script.metadata(), { gasLimit: 4_000_000_000 });
        const { gas, processes } = checkTree(other);
        most = Math.max(most, processes);
        if (gas > 0) running++;
        // What left the counter and is not held by anybody now was burnt by instructions and pages.
        const burnt = block.gasUsed - (held(other) - before);
        assert.ok(burnt > 0 && burnt <= 4_000_000_000 + before, `burnt ${burnt}`);
      }
      t.diagnostic(`${workers} workers: up to ${most} processes, ${running} of 12 blocks left some running`);
      assert.ok(most > 5 && running > 0, "the trees are not trivial");
    });
  }
});

test("a block that is given more than it needs uses the same; one less and it faults", async (t) => {
  const seed = baseSeed(t) + 500;
  for (let i = 0; i < 6; i++) {
    await runtime.revert(0);
    const metadata = randomTree(seed + i, { depth: 3, children: 3 }).metadata();
    const first = await runtime.produce(metadata);
    const peak = await leastBudget(metadata, first.gasUsed);
    for (const [budget, fits] of [
      [peak, true],
      [peak * 2, true],
      [peak - 1, false],
    ] as const) {
      await runtime.revert(0);
      const script = runtime.produce(metadata, { gasLimit: budget });
      if (!fits) {
        await script.then(
          (block) => assert.notEqual(block.root, first.root, "with less gas something is refused"),
          (error) => assert.equal(error.facts.fault, "out-of-gas"),
        );
        continue;
      }
      const block = await script;
      assert.deepEqual([block.gasUsed, block.root], [first.gasUsed, first.root], `budget ${budget}`);
      assert.deepEqual(block.data, first.data);
      assert.notEqual(block.id, first.id, "the budget is part of the block's name");
    }
  }
});

/** The smallest budget with which the block is the same: what is given to children must be there as well. */
async function leastBudget(metadata: Uint8Array, gasUsed: number): Promise<number> {
  await runtime.revert(0);
  const { root } = await runtime.produce(metadata);
  let low = gasUsed - 1;
  let high = 4_000_000_000;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    await runtime.revert(0);
    const same = await runtime.produce(metadata, { gasLimit: middle }).then(
      (block) => block.root === root,
      () => false,
    );
    if (same) high = middle;
    else low = middle;
  }
  return high;
}

test("work in a child costs its parent, and that one's parent, exactly what it used", async () => {
  const cost = async (rounds: number): Promise<[number, number]> => {
    await runtime.revert(0);
    const { block, results, handles } = await play(runtime, (s) => {
      childScript(
        s,
        (inner) => {
          inner.put(1, { program: SPIN });
          inner.spin(rounds);
        },
        50_000_000,
        false,
      );
      return s.get(1, { status: true });
    });
    return [block.gasUsed, Number(results.status(handles).gasUsed)];
  };
  const [block, child] = await cost(1);
  const [moreBlock, moreChild] = await cost(100_001);
  assert.ok(moreChild - child >= 100_000);
  assert.equal(moreBlock - block, moreChild - child);
});

test("a trap costs all that was given, at every depth", async () => {
  const cost = async (gas: number, grandchild: number): Promise<number> => {
    await runtime.revert(0);
    return used((s) =>
      childScript(
        s,
        (inner) => {
          inner.put(1, { program: TRAP, start: { entry: "unreachableCode", gas: grandchild } });
          inner.get(1, { status: true });
        },
        gas,
      ),
    );
  };
  const base = await cost(20_000_000, 100_000);
  assert.equal(await cost(30_000_000, 100_000), base, "the child's rest comes back");
  assert.equal(await cost(20_000_000, 100_777), base + 777, "the grandchild's does not");
});

test("a retry is paid on top", async () => {
  const cost = async (first: number): Promise<number> => {
    await runtime.revert(0);
    return used((s) => {
      s.put(1, { program: TRAP, start: { entry: "setMark", argument: 1n, gas: first } });
      s.get(1, { status: true });
      s.put(1, { start: { entry: "setMark", argument: 1n, gas: GAS } });
      s.get(1, { status: true });
    });
  };
  assert.equal((await cost(9_000)) - (await cost(2_000)), 7_000);
});

test("a child left running is used gas in its block, and gives its rest back at its join", async () => {
  const inner = (s: Script): void => {
    s.spin(1000);
  };
  await runtime.revert(0);
  const joined = await used((s) => {
    childScript(s, inner, GAS);
  });
  await runtime.revert(0);
  const empty = await used((s) => s.get(1, { status: true }));
  await runtime.revert(0);
  const left = await used((s) => childScript(s, inner, GAS, false));
  assert.equal(held(runtime), GAS);
  assert.equal(runtime.inspect([1])?.status, "runnable");
  await used(() => {});
  assert.equal(held(runtime), GAS, "a block that does not ask for it leaves it");
  const { block, results, handles } = await play(runtime, (s) => s.get(1, { status: true }));
  assert.equal(held(runtime), 0);
  const rest = GAS - Number(results.status(handles).gasUsed);
  assert.ok(block.gasUsed < 0, `what came back is more than what the block burnt: ${block.gasUsed}`);
  assert.ok(
    Math.abs(block.gasUsed + rest - empty) < 60_000,
    "the join costs no more than an error code would",
  );
  assert.ok(left + block.gasUsed >= joined, "split over two blocks it is not cheaper");
  assert.ok(left > GAS);
});

test("gas that comes back from an earlier block can be spent, inline and on threads alike", async () => {
  const blocks: unknown[] = [];
  for (const workers of [1, 2]) {
    await withRuntime(
      [trap, spin],
      { memoryQuotaPages: MEMORY, processQuota: PROCESSES, workers },
      async (other) => {
        // Child 1 leaves its own child running with much gas; later it is started with little, joins it, and
        // has more at its end than at its start.
        await play(other, (s) =>
          childScript(
            s,
            (inner) => {
              inner.put(1, { program: TRAP, start: { entry: "setMark", argument: 3n, gas: 40_000_000 } });
            },
            60_000_000,
          ),
        );
        const { block, results, handles } = await play(other, (s) => {
          const inner = new Script({ base: INNER });
          inner.get(1, { status: true });
          s.put(1, { ranges: [{ source: inner.metadata(), target: INNER }] });
          s.put(1, { start: { entry: "run", argument: BigInt(INNER), gas: 1_000_000 } });
          for (let i = 0; i < 30; i++) s.spin(1000);
          return s.get(1, { status: true });
        });
        const status = results.status(handles);
        assert.equal(status.kind, abi.STATUS_RETURNED);
        assert.ok(BigInt.asIntN(64, status.gasUsed) < -38_000_000n, `${BigInt.asIntN(64, status.gasUsed)}`);
        assert.ok(block.gasUsed < 0);
        assert.equal(held(other), 0);
        blocks.push([block.root, block.gasUsed, block.id]);
      },
    );
  }
  assert.deepEqual(blocks[1], blocks[0]);
});

test("DROP joins the child, and uses up what its own runnable children held", async () => {
  const cost = async (gas: number, grandchild: number, drop: boolean): Promise<number> => {
    await runtime.revert(0);
    const total = await used((s) => {
      childScript(
        s,
        (inner) => inner.put(1, { program: SPIN, start: { entry: "run", gas: grandchild } }),
        gas,
        false,
      );
      s.put(1, { drop });
      if (!drop) s.get(1, { status: true });
    });
    assert.equal(held(runtime), drop ? 0 : grandchild);
    return total;
  };
  const base = await cost(20_000_000, 1_000_000, true);
  assert.equal(await cost(25_000_000, 1_000_000, true), base);
  assert.equal(await cost(20_000_000, 1_500_000, true), base + 500_000);
});

test("runnable descendants that a fault restores hold no gas, and can be started again", async () => {
  await runtime.revert(0);
  const put = (s: Script, inner: Script): void => {
    s.put(1, { ranges: [{ source: inner.metadata(), target: INNER }] });
    s.put(1, { start: { entry: "run", argument: BigInt(INNER), gas: 30_000_000 } });
  };
  await used((s) =>
    childScript(
      s,
      (inner) => inner.put(1, { program: TRAP, start: { entry: "setMark", argument: 6n, gas: GAS } }),
      30_000_000,
    ),
  );
  assert.equal(held(runtime), GAS);
  const faulting = await used((s) => {
    const inner = new Script({ base: INNER });
    inner.trap();
    put(s, inner);
    s.get(1, { status: true });
  });
  assert.ok(faulting >= 30_000_000);
  assert.equal(held(runtime), 0, "nobody waits for the grandchild, and its gas is gone");
  assert.equal(runtime.inspect([1, 1])?.status, "runnable");
  await used((s) => {
    const inner = new Script({ base: INNER });
    inner.get(1, { status: true });
    put(s, inner);
    s.get(1, { status: true });
  });
  const view = runtime.inspect([1, 1]);
  assert.deepEqual([view?.status, view?.fault, view?.gasUsed], ["faulted", "out-of-gas", 0]);
  await used((s) => {
    const inner = new Script({ base: INNER });
    inner.put(1, { start: { entry: "setMark", argument: 6n, gas: GAS } });
    inner.get(1, { status: true });
    put(s, inner);
    s.get(1, { status: true });
  });
  assert.equal(runtime.inspect([1, 1])?.code, 6n);
  assert.equal(held(runtime), 0);
});

test("PROGRAM over a child with runnable children uses up what they held", async () => {
  const cost = async (grandchild: number): Promise<number> => {
    await runtime.revert(0);
    return used((s) => {
      childScript(
        s,
        (inner) => inner.put(1, { program: SPIN, start: { entry: "run", gas: grandchild } }),
        20_000_000,
      );
      s.put(1, { program: TRAP });
    });
  };
  assert.equal((await cost(1_250_000)) - (await cost(1_000_000)), 250_000);
  assert.equal(held(runtime), 0);
});

test("quotas pass down and come back over PROGRAM, DROP, growth and faults", async () => {
  await runtime.revert(0);
  // What the root takes itself, before and after it grows by 5 pages of 64 KiB.
  const own = 80 * 16 + abi.PROCESS_PAGES;
  const grown = own + 5 * 16;
  const child = quota(100);
  const { results, handles } = await play(runtime, (s) => [
    s.put(1, { program: TRAP, memoryQuotaPages: MEMORY - own, processQuota: PROCESSES - 1 }),
    s.put(2, { program: TRAP }),
    s.put(1, { program: TRAP, memoryQuotaPages: MEMORY - own + 1 }),
    s.put(1, { program: TRAP, memoryQuotaPages: child, processQuota: PROCESSES }),
    s.put(1, { program: TRAP, memoryQuotaPages: child, processQuota: 7 }),
    s.grow(5),
    s.put(2, { program: TRAP, memoryQuotaPages: MEMORY - grown - child + 1 }),
    s.put(2, { program: TRAP, memoryQuotaPages: MEMORY - grown - child, processQuota: PROCESSES - 9 }),
    s.grow(1),
    s.put(1, { drop: true }),
    s.put(1, { drop: true }),
    s.put(3, { program: TRAP, memoryQuotaPages: child, processQuota: 8 }),
    s.put(3, { program: TRAP, memoryQuotaPages: child, processQuota: 7 }),
  ]);
  held(runtime);
  const { E_QUOTA, E_NO_CHILD } = abi;
  assert.deepEqual(
    handles.map((handle) => Number(results.value(handle))),
    [0, E_QUOTA, E_QUOTA, E_QUOTA, 0, 80, E_QUOTA, 0, -1, 0, E_NO_CHILD, E_QUOTA, 0],
  );
  await runtime.revert(0);
  await assert.rejects(
    play(runtime, (s) => {
      s.grow(50);
      s.put(1, { program: TRAP, memoryQuotaPages: quota(100) });
      s.trap();
    }),
  );
  held(runtime);
  assert.equal(runtime.inspect([])?.memoryBytes, 80 * 65536);
});
