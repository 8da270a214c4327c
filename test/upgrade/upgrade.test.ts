/** Upgrades: programs, prices and quotas that change with a block, and what stays. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type Block,
  type BytesStatement,
  type Candidate,
  type Replacement,
  type RulesChange,
  type Runtime,
  verify,
  verifyHeader,
} from "../../runtime/index.ts";
import {
  contract,
  contract2,
  metadata,
  nameOf,
  narrower,
  type Operation,
  open,
  results,
  root2,
  said,
  wider,
} from "./world.ts";

const WORKERS = [1, 8];

/** The same chain with 1 and with 8 workers: the blocks agree. */
async function onAll(run: (runtime: Runtime) => Promise<void>): Promise<void> {
  const seen: string[][] = [];
  for (const workers of WORKERS) {
    const runtime = await open({ workers });
    await run(runtime);
    seen.push(runtime.blocks().map(({ id }) => id));
    await runtime.close();
  }
  assert.deepEqual(seen[1], seen[0]);
}

const block = (runtime: Runtime, operations: Operation[], rules?: RulesChange): Promise<Block> =>
  runtime.produce(metadata(...operations), rules === undefined ? {} : { rules });

describe("a program is added", () => {
  test("and processes are made of it from that block on", async () => {
    await onAll(async (runtime) => {
      const before = await block(runtime, [["create", 1, 0, contract2]]);
      assert.ok((results(before)[0] as number) < 0, "it is not known");
      const after = await block(runtime, [["create", 1, 0, contract2]], { programs: [contract2] });
      assert.equal(results(after)[0], 0);
      assert.deepEqual(results(await block(runtime, [["version", 1]])), [2 + 256 * 0]);
      assert.deepEqual(runtime.rules().programs.at(-1), nameOf(contract2));
      assert.equal(runtime.rules(before).programs.includes(nameOf(contract2)), false);
    });
  });

  test("which is no program, or was there: an error all replicas see, or nothing", async () => {
    const runtime = await open();
    const wrong = block(runtime, [], { programs: [Uint8Array.of(1, 2)] });
    await assert.rejects(wrong, { code: "E_BAD_PROGRAM", deterministic: true });
    assert.equal(runtime.head.height, 0);
    const before = runtime.rules();
    await block(runtime, [], { programs: [contract] });
    assert.deepEqual(runtime.rules(), before);
    await runtime.close();
  });
});

describe("the program of a process is replaced", () => {
  const replace = (more: Partial<Replacement> = {}): RulesChange => ({
    replace: [{ path: [1], program: contract2, ...more }],
  });

  test("its state stays, what is private starts again, and other processes are as they were", async () => {
    await onAll(async (runtime) => {
      await block(runtime, [
        ["create", 1, 0, contract],
        ["create", 2, 0, contract],
        ["add", 1, 5],
        ["add", 2, 7],
      ]);
      assert.deepEqual(results(await block(runtime, [["version", 1]])), [1 + 256]);
      const upgraded = await block(
        runtime,
        [
          ["version", 1],
          ["version", 2],
          ["add", 1, 5],
          ["add", 2, 7],
        ],
        replace(),
      );
      assert.deepEqual(results(upgraded), [2, 1 + 256, 15, 28]);
      assert.equal(runtime.inspect([1])?.program, nameOf(contract2));
      assert.equal(runtime.inspect([2])?.program, nameOf(contract));
    });
  });

  test("with more state, with a migration, with its children", async () => {
    await onAll(async (runtime) => {
      await block(runtime, [
        ["create", 1, 0, contract],
        ["add", 1, 5],
      ]);
      const before = runtime.prove([1], 0, 0);
      const made = await block(
        runtime,
        [["add", 1, 1]],
        replace({ program: wider, migrate: "migrate", argument: 3 }),
      );
      assert.deepEqual(results(made), [31]);
      assert.equal(Buffer.from(runtime.read([1], 8, 8)).readBigInt64LE(), 10n);
      const quotas = (proof: Uint8Array, height: number) => {
        const { process } = verify(runtime.blocks()[height]?.root as string, proof) as BytesStatement;
        return [process.processQuota, process.memoryPassed];
      };
      assert.deepEqual(quotas(runtime.prove([1], 0, 0), 2), quotas(before, 1));
    });
  });

  test("where it is suspended: its stack is dropped", async () => {
    await onAll(async (runtime) => {
      const suspended = await block(runtime, [
        ["create", 1, 0, contract],
        ["count", 1, 3],
        ["resume", 1, 4],
      ]);
      assert.deepEqual(results(suspended), [0, 3, 7]);
      await block(runtime, [], replace());
      assert.equal(runtime.inspect([1])?.status, "fresh");
      assert.deepEqual(results(await block(runtime, [["count", 1, 5]])), [5]);
    });
  });

  const refused: [what: string, change: Replacement, code: string, text: RegExp][] = [
    [
      "a process that runs",
      { path: [2], program: contract2 },
      "E_STATE",
      /\/2 cannot be replaced: it, or a process/,
    ],
    ["a process that is not there", { path: [9], program: contract2 }, "E_STATE", /no such process/],
    [
      "less state",
      { path: [1], program: narrower },
      "E_STATE",
      /declares 65536 bytes of state, the old 131072/,
    ],
    ["a program that nobody knows", { path: [1], program: "ab".repeat(32) }, "E_STATE", /do not name it/],
    [
      "a migration that is not there",
      { path: [1], program: contract2, migrate: "x" },
      "NO_ENTRY",
      /no entry "x"/,
    ],
    [
      "a migration that faults",
      { path: [1], program: contract2, migrate: "refuse" },
      "MIGRATION_FAULT",
      /not today/,
    ],
    [
      "a migration without gas",
      { path: [1], program: contract2, migrate: "migrate", gas: 10 },
      "MIGRATION_FAULT",
      /out-of-gas/,
    ],
    [
      "a migration with more gas than the block",
      { path: [1], program: contract2, migrate: "migrate", gas: 2 ** 40 },
      "GAS_LIMIT",
      /has 2000000000 left/,
    ],
    ["a root that ends", { path: [], program: root2, migrate: "stop" }, "E_STATE", /without SNAPSHOT/],
    ["a root that faults", { path: [], program: root2, migrate: "refuse" }, "MIGRATION_FAULT", /not today/],
  ];
  test("refused, there is no block, and the next one can be tried at once", async () => {
    const runtime = await open({ workers: 2 });
    await block(runtime, [
      ["create", 1, 0, contract],
      ["create", 2, 0, contract],
      ["start", 2, 1000],
    ]);
    const { id } = runtime.head;
    for (const [what, change, code, text] of refused) {
      await assert.rejects(
        block(runtime, [], { replace: [change] }),
        { code, message: text, deterministic: true },
        what,
      );
      assert.equal(runtime.head.id, id, what);
    }
    await block(runtime, [["join", 2]]);
    await block(runtime, [], { replace: [{ path: [2], program: contract2 }] });
    await runtime.close();
  });

  test("of the root: it migrates instead of resuming, and has the block's metadata then", async () => {
    await onAll(async (runtime) => {
      await block(runtime, [
        ["create", 1, 0, contract],
        ["add", 1, 4],
      ]);
      const change = { replace: [{ path: [], program: root2, migrate: "migrate", argument: 77n }] };
      const made = await block(runtime, [["add", 1, 4]], change);
      // Its number of blocks continues, and so does its child.
      assert.deepEqual(said(made), [2, 2, 16]);
      assert.equal(Buffer.from(runtime.read([], 16, 8)).readBigInt64LE(), 77n);
      assert.deepEqual(said(await block(runtime, [])), [2, 3]);
      assert.ok(made.gasUsed > 0);
      const long = runtime.produce(new Uint8Array(0x4001), {
        rules: { replace: [{ path: [], program: root2 }] },
      });
      await assert.rejects(long, { code: "METADATA_TOO_LONG", deterministic: true });
    });
  });
});

describe("quotas and gas change", () => {
  test("from that block on", async () => {
    await onAll(async (runtime) => {
      const change = {
        gasLimit: 900_000_000,
        memoryQuotaPages: 21_000,
        processQuota: 5,
        heldGasQuota: 1_000_000_000,
      };
      await block(runtime, [["create", 1, 0, contract]], change);
      const { programs: _, costs: __, ...rules } = runtime.rules();
      for (const [name, value] of Object.entries(change))
        assert.equal(rules[name as keyof typeof rules], value);
      assert.equal(runtime.input().gasLimit, 900_000_000);
      await assert.rejects(runtime.produce(new Uint8Array(), { gasLimit: 900_000_001 }), {
        code: "GAS_LIMIT",
      });
      assert.ok(
        (results(await block(runtime, [["create", 2, 0, contract]]))[0] as number) < 0,
        "8 are more than 5",
      );
    });
  });

  test("below what is in use, or above the heap: errors that say so", async () => {
    const runtime = await open({ heapBytes: 2 ** 32 });
    await block(runtime, [
      ["create", 1, 0, contract],
      ["start", 1, 10],
    ]);
    const less: [RulesChange, RegExp][] = [
      [{ memoryQuotaPages: 100 }, /memoryQuotaPages of 100, and \d+ are in use/],
      [{ processQuota: 3 }, /processQuota of 3, and 9 are in use/],
      [{ heldGasQuota: 5 }, /heldGasQuota of 5, and \d+ are in use/],
    ];
    for (const [change, message] of less) {
      await assert.rejects(block(runtime, [], change), { code: "QUOTA", message, deterministic: true });
    }
    for (const change of [{ memoryQuotaPages: 2 ** 20 }, { gasLimit: 2 ** 33 }, { heldGasQuota: 2 ** 33 }]) {
      const message = /"heapBytes" is 4294967296, and a block may need \d+ of them/;
      await assert.rejects(block(runtime, [], change), {
        code: "QUOTA_ABOVE_HEAP",
        message,
        deterministic: false,
      });
    }
    await runtime.close();
  });
});

describe("prices change", () => {
  test("everything is twice as dear, and suspended stacks continue", async () => {
    await onAll(async (runtime) => {
      await block(runtime, [
        ["create", 1, 0, contract],
        ["count", 1, 3],
      ]);
      const spin: Operation[] = [
        ["create", 2, 0, contract],
        ["add", 2, 1],
        ["add", 2, 2],
        ["drop", 2],
      ];
      await block(runtime, spin);
      // On both sides of the change at once.
      const changes: RulesChange[] = [{}, { costs: "doubled" }, {}, { costs: "doubled" }];
      const made = await Promise.all(changes.map((rules) => runtime.execute(metadata(...spin), { rules })));
      const [cheap, dear] = made as [Candidate, Candidate];
      assert.deepEqual([made[2]?.id, made[3]?.id], [cheap.id, dear.id]);
      // The root keeps what a call has used: the second blocks write the same as the first ones.
      const more = [cheap, dear].map((on) => runtime.execute(metadata(...spin), { on }));
      const [cheapAgain, dearAgain] = (await Promise.all(more)) as [Candidate, Candidate];
      assert.equal(dearAgain.gasUsed, 2 * cheapAgain.gasUsed);
      await runtime.commit(dear);
      assert.equal(runtime.rules().costs, "doubled");
      assert.deepEqual(results(await block(runtime, [["resume", 1, 4]])), [7]);
      await block(runtime, [], { costs: "1" });
      await block(runtime, spin);
      assert.equal((await block(runtime, spin)).gasUsed, cheapAgain.gasUsed);
    });
  });

  test("to a version that this build does not carry", async () => {
    const runtime = await open();
    for (const change of [{ costs: "99" }, { rewriter: "99" }]) {
      const unknown = block(runtime, [], change);
      await assert.rejects(unknown, {
        code: "RULES_UNKNOWN",
        message: /version 99 of the/,
        deterministic: false,
      });
    }
    await runtime.close();
  });
});

describe("a block of an upgrade", () => {
  test("names its rules in its header, and its input gives the change back", async () => {
    const runtime = await open();
    await block(runtime, [["create", 1, 0, contract]]);
    const change = {
      programs: [wider],
      gasLimit: 1_000_000_000,
      replace: [{ path: [1], program: contract2 }],
    };
    const made = await block(runtime, [["add", 1, 2]], change);
    const [before, after] = [1, 2].map((height) =>
      verifyHeader(runtime.blocks()[height]?.id as string, runtime.blockHeader(height)),
    );
    assert.notEqual(before?.rules, after?.rules);
    assert.match(before?.change as string, /^0{64}$/);
    const { rules } = runtime.input(made);
    assert.deepEqual(rules?.programs?.map(nameOf), [nameOf(wider), nameOf(contract2)]);
    assert.deepEqual(rules?.replace, [{ path: [1], program: nameOf(contract2) }]);
    assert.equal("rules" in runtime.input(1), false);
    const replayed = await runtime.reorg({ to: 1, blocks: [runtime.input(made)] });
    assert.equal(replayed.head.id, made.id);
    const traced = await runtime.trace(made);
    assert.equal(traced.root, made.root);
    await runtime.close();
  });

  test("wrong changes are named", async () => {
    const runtime = await open();
    const wrong: [unknown, RegExp][] = [
      [{ gas: 1 }, /there is no option "rules.gas"/],
      [{ programs: contract }, /rules.programs/],
      [{ gasLimit: -1 }, /gasLimit/],
      [{ replace: [{ path: [1] }] }, /rules.replace\[0\].program/],
      [{ replace: [{ path: ["1"], program: contract }] }, /rules.replace\[0\].path/],
      [{ costs: 1 }, /rules.costs/],
    ];
    for (const [rules, message] of wrong) {
      await assert.rejects(block(runtime, [], rules as RulesChange), { code: "BAD_OPTION", message });
    }
    // Nothing is no change.
    const { id } = await block(runtime, [], {});
    await runtime.revert(0);
    assert.equal((await block(runtime, [])).id, id);
    await runtime.close();
  });
});
