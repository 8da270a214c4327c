/** Many processes: ten thousand idle children of one root, and a chain of sixteen levels all of which run. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { programHash } from "../../runtime/index.ts";
import { TREE_DEPTH_LIMIT } from "../../runtime/limits.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, REGION, SCRATCH, Script } from "../driver.ts";
import { DRIVER_HASH, guest, withRuntime } from "../fixture.ts";
import { baseSeed } from "../seed.ts";
import { checkTree } from "./invariants.ts";
import { random } from "./trees.ts";

const trivial = await guest("trivial");
const TRIVIAL = programHash(trivial);
const CHILDREN = 10_000;
const PER_BLOCK = 2500;
const PUT = 1;

/** A PUT request whose bytes many commands of a script share. */
function putRequest(script: Script, argument: bigint | null): number {
  const request = new DataView(new ArrayBuffer(abi.PUT_SIZE));
  request.setUint32(abi.PUT_VERSION, abi.ABI_VERSION, true);
  request.setUint32(abi.PUT_PARTS, argument === null ? abi.PART_PROGRAM : abi.PART_START, true);
  request.setUint32(abi.PUT_PROGRAM_POINTER, script.place(TRIVIAL), true);
  request.setUint32(abi.PUT_ENTRY_POINTER, script.place(new TextEncoder().encode("run")), true);
  request.setUint32(abi.PUT_ENTRY_LENGTH, argument === null ? 0 : 3, true);
  request.setBigInt64(abi.PUT_ARGUMENT, argument ?? 0n, true);
  request.setUint32(abi.PUT_GAS, argument === null ? 0 : 100_000, true);
  return script.place(new Uint8Array(request.buffer));
}

test("ten thousand idle children, some of them started and joined in any order", async (t) => {
  const seed = baseSeed(t);
  const runs: unknown[] = [];
  for (const workers of [1, 2]) {
    await withRuntime([trivial], { workers }, async (runtime) => {
      const { heap } = runtime.engine;
      const empty = heap.usedBytes;
      const roots: string[] = [];
      for (let first = 0; first < CHILDREN; first += PER_BLOCK) {
        const script = new Script({ commands: PER_BLOCK });
        const request = putRequest(script, null);
        // Spread over the whole range of numbers.
        for (let i = first; i < first + PER_BLOCK; i++)
          script.command(PUT, (i * 104_729) % abi.CHILD_LIMIT, request);
        const { data, root } = await runtime.produce(script.metadata());
        assert.ok(script.read(data).values.every((value) => value === 0n));
        roots.push(root);
      }
      t.diagnostic(`${workers} workers: ${Math.round((heap.usedBytes - empty) / CHILDREN)} bytes a child`);
      assert.equal(checkTree(runtime).processes, CHILDREN + 1);

      const next = random(seed);
      for (let block = 0; block < 3; block++) {
        const script = new Script({ commands: 2000 });
        const start = putRequest(script, BigInt(block));
        const status = script.reserve(abi.STATUS_SIZE);
        const words = { [abi.GET_PARTS]: abi.PART_GET_STATUS, [abi.GET_STATUS_POINTER]: status };
        script.get(0, { words });
        for (let i = 0; i < 700; i++) {
          const child = (next(CHILDREN) * 104_729) % abi.CHILD_LIMIT;
          script.command(PUT, child, start);
          if (next(3) === 0) script.get(child, { words });
        }
        const { root, gasUsed } = await runtime.produce(script.metadata());
        roots.push(root, `${gasUsed}`);
      }
      const { gas } = checkTree(runtime);
      assert.ok(gas > 0, "some run on");
      runs.push(roots);
    });
  }
  assert.deepEqual(runs[1], runs[0]);
});

/** A script that starts a child which runs the same script one level less, and works meanwhile. */
function level(levels: number, seed: number): Script {
  const script = new Script({ commands: 12 });
  script.store(SCRATCH + 0x80000, BigInt(seed + levels));
  if (levels > 0) {
    script.put(3, {
      program: DRIVER_HASH,
      memoryQuotaPages: quota(80 * levels),
      processQuota: levels - 1,
      ranges: [{ source: level(levels - 1, seed).metadata(), target: REGION }],
      start: { entry: "run", argument: BigInt(REGION), gas: 4_000_000 * levels },
    });
    script.spin(2000);
    script.get(3, { status: true, hash: true });
  }
  return script;
}

test("sixteen levels, each started while the one above runs, joined or left running", async () => {
  const runs: unknown[] = [];
  for (const workers of [1, 4]) {
    await withRuntime([], { workers }, async (runtime) => {
      const ids: string[] = [];
      for (let block = 0; block < 3; block++) {
        const { id, gasUsed } = await runtime.produce(level(16, block * 100).metadata());
        ids.push(id, `${gasUsed}`);
      }
      const path = Array.from({ length: 16 }, () => 3);
      assert.equal(runtime.inspect(path)?.status, "returned");
      assert.equal(runtime.inspect([...path, 3]), null);
      assert.deepEqual([...runtime.read(path, SCRATCH + 0x80000, 1)], [200]);
      assert.equal(checkTree(runtime).processes, 17);
      runs.push(ids);
    });
  }
  assert.deepEqual(runs[1], runs[0]);
});

test("the tree has a limit of levels, where PROGRAM gives E_QUOTA", async () => {
  await withRuntime([], {}, async (runtime) => {
    await runtime.produce(level(TREE_DEPTH_LIMIT + 2, 0).metadata());
    const path: number[] = [];
    while (runtime.inspect([...path, 3]) !== null) path.push(3);
    assert.equal(path.length, TREE_DEPTH_LIMIT);
    const result = new DataView(runtime.read(path, 0x300000 + 8 + 8, 8).buffer).getBigInt64(0, true);
    assert.equal(result, BigInt(abi.E_QUOTA), "what PUT gave at the last level");
  });
});
