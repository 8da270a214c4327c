/**
 * Requests with wild fields: each is refused for a reason that the model knows, or does what it says; nothing
 * stops the host, and what is refused changes nothing. The model and its limits are in requests.ts.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { programHash, type Runtime } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, SCRATCH, Script } from "../driver.ts";
import { guest, play, withRuntime } from "../fixture.ts";
import { baseSeed } from "../seed.ts";
import { checkTree } from "./invariants.ts";
import { REQUEST_OPTIONS, REQUEST_PROGRAMS, RULES, randomRequests } from "./requests.ts";
import { random } from "./trees.ts";

const wild = await guest("wild");
const trivial = await guest("trivial");
const WILD = programHash(wild);
const ROUNDS = 30;
const REQUESTS = 60;

test("requests with wild fields are refused as the model says, with 1 and 3 workers alike", async (t) => {
  const seed = baseSeed(t);
  const roots: string[][] = [];
  for (const workers of [1, 3]) {
    const seen: string[] = [];
    let refusals = 0;
    await withRuntime(REQUEST_PROGRAMS, { ...REQUEST_OPTIONS, workers }, async (runtime) => {
      for (let round = 0; round < ROUNDS; round++) {
        await runtime.revert(0);
        const { script, check } = randomRequests(seed + round, REQUESTS);
        const block = await runtime.produce(script.metadata());
        const { differences, refused } = check(script.read(block.data));
        assert.deepEqual(differences, [], `seed ${seed + round}`);
        refusals += refused;
        checkTree(runtime);
        seen.push(block.id);
      }
    });
    t.diagnostic(`${ROUNDS * REQUESTS} requests, ${refusals} refused`);
    assert.ok(refusals > ROUNDS * 10 && refusals < ROUNDS * REQUESTS * 0.8);
    roots.push(seen);
  }
  assert.deepEqual(roots[1], roots[0]);
});

test("a model without any one of its rules is detected", async (t) => {
  const seed = baseSeed(t) + 10_000;
  await withRuntime(REQUEST_PROGRAMS, REQUEST_OPTIONS, async (runtime) => {
    for (const rule of RULES) {
      let found = false;
      for (let round = 0; round < 200 && !found; round++) {
        await runtime.revert(0);
        const { script, check } = randomRequests(seed + round, REQUESTS, [rule]);
        const { data } = await runtime.produce(script.metadata());
        found = check(script.read(data)).differences.length > 0;
      }
      assert.ok(found, `nothing depends on the rule "${rule}"`);
    }
  });
});

test("a child that makes calls with random words never stops the host", async (t) => {
  const next = random(baseSeed(t) + 20_000);
  const any = (): number => {
    const values = [
      0, 1, 2, 4, 8, 16, 24, 0x1000, 0x10000, 0x20000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff,
    ];
    return next(4) === 0 ? next(0x40000) : (values[next(values.length)] as number);
  };
  const scripts = Array.from({ length: 40 }, () => {
    const script = new Script({ commands: 1000 });
    script.put(1, { program: WILD, memoryQuotaPages: quota(20), processQuota: 3 });
    for (let i = 0; i < 30; i++) {
      // Five words of the call, then words that its pointers may hit.
      const words = new Uint32Array(64);
      words[0] = 1 + next(5);
      for (let j = 1; j < words.length; j++) words[j] = next(3) === 0 ? 0 : any();
      if (next(2) === 0) {
        // A request that is half right, in the child's area.
        words[1] = next(3);
        words[2] = 0x10000 + 64;
        words[16] = abi.ABI_VERSION;
        words[17] = 1 << next(5);
      }
      script.put(1, { ranges: [{ source: new Uint8Array(words.buffer), target: 0x10000 }] });
      script.put(1, { start: { entry: "run", argument: 0x10000n, gas: 400_000 } });
      // Where it stands in RET it continues.
      script.put(1, { start: { argument: BigInt(any()), gas: 400_000 } });
      script.get(1, { status: true, hash: true, detail: 40 });
    }
    return script.metadata();
  });
  const runs: unknown[] = [];
  for (const workers of [1, 3]) {
    await withRuntime([wild, trivial], { workers }, async (runtime) => {
      runs.push(await outcomes(runtime, scripts));
    });
  }
  assert.deepEqual(runs[1], runs[0]);
  assert.ok(new Set(runs[0] as string[]).size > 30);
});

test("a root that makes calls with random words never stops the host", async (t) => {
  const next = random(baseSeed(t) + 30_000);
  const scripts = Array.from({ length: 150 }, () => {
    const script = new Script();
    script.put(1, { program: programHash(trivial), start: { entry: "run", gas: 1_000_000 } });
    for (let i = 0; i < 20; i++) {
      // Requests of random words with outputs anywhere: over the script, its stack and its statics too.
      const words = new Uint32Array(16);
      for (let j = 0; j < words.length; j++)
        words[j] = next(2) === 0 ? 0 : next(2) === 0 ? next(80 * 65536) : next(9);
      words[0] = abi.ABI_VERSION;
      words[1] = 1 + next(31);
      const call = 1 + next(2);
      if (call === 2 || next(3) > 0) words[9] = 0;
      words[15] = 0;
      script.command(call, next(3), script.place(new Uint8Array(words.buffer)));
      if (next(40) === 0) script.command(4, 0, script.place(new Uint8Array(words.buffer)));
    }
    return script.metadata();
  });
  const runs: unknown[] = [];
  for (const workers of [1, 3]) {
    await withRuntime([trivial], { workers, gasLimit: 200_000_000 }, async (runtime) => {
      runs.push(await outcomes(runtime, scripts));
    });
  }
  assert.deepEqual(runs[1], runs[0]);
});

/** Each script from block 0: the block's id, or the fault. */
async function outcomes(runtime: Runtime, scripts: readonly Uint8Array[]): Promise<string[]> {
  const seen: string[] = [];
  for (const metadata of scripts) {
    await runtime.revert(0);
    const outcome = await runtime.produce(metadata).then(
      (block) => block.id,
      (error) => {
        assert.equal(error.code, "BLOCK_FAULT", error.stack);
        return JSON.stringify(error.facts);
      },
    );
    checkTree(runtime);
    seen.push(outcome);
  }
  return seen;
}

test("outputs may lie over the request, its ranges, and each other: what was read counts", async () => {
  await withRuntime([trivial], {}, async (runtime) => {
    const { results, handles } = await play(runtime, (s) => {
      s.put(1, { program: programHash(trivial) });
      const text = new TextEncoder().encode("some bytes of the child");
      s.put(1, { ranges: [{ source: text, target: 4096 }] });
      // STATUS is written over the list of ranges, HASH over the copied bytes.
      const list = new Uint32Array([
        abi.RANGE_COPY,
        4096,
        SCRATCH,
        23,
        abi.RANGE_COPY,
        4096,
        SCRATCH + 100,
        23,
        0,
        0,
        0,
        0,
      ]);
      const ranges = s.place(new Uint8Array(list.buffer));
      const words = {
        [abi.GET_PARTS]: abi.PART_GET_STATUS | abi.PART_GET_COPY | abi.PART_GET_HASH,
        [abi.GET_STATUS_POINTER]: ranges,
        [abi.GET_RANGES_POINTER]: ranges,
        [abi.GET_RANGES_COUNT]: 2,
        [abi.GET_HASH_POINTER]: SCRATCH + 4,
      };
      return [s.get(1, { words }), s.out(SCRATCH, 140), s.out(ranges, 48), s.get(1, { hash: true })] as const;
    });
    assert.equal(results.value(handles[0]), 0n);
    const out = Buffer.from(results.bytes(handles[1]));
    assert.equal(out.toString("utf8", 0, 4), "some");
    assert.deepEqual(out.subarray(4, 36), Buffer.from(results.hash(handles[3])));
    assert.equal(out.toString("utf8", 100, 123), "some bytes of the child");
    assert.equal(Buffer.from(results.bytes(handles[2])).readUInt32LE(abi.STATUS_MEMORY_PAGES), 1);
  });
});
