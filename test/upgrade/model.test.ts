/**
 * Random chains with upgrades, reverts, forks, candidates, deaths of threads and restarts: what the contracts
 * say is what a model says, and a chain that is replayed from its inputs by one thread has the same ids.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Block, type Replacement, type RulesChange, Runtime } from "../../runtime/index.ts";
import { checkTree } from "../kernel/invariants.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";
import { withDirectory } from "../store/directory.ts";
import {
  contract,
  contract2,
  metadata,
  OPTIONS,
  type Operation,
  open,
  results,
  root,
  root2,
  wider,
} from "./world.ts";

const CHILDREN = 3;
const PROGRAMS = [contract, contract2, wider];

/** What a contract holds: which version it is, its sum, and how often that version was called. */
interface Contract {
  readonly version: number;
  readonly sum: number;
  readonly calls: number;
}

type World = readonly (Contract | null)[];

/** The next block: its operations, its change, what it must say, and what is there then. */
function plan(world: World, pick: (count: number) => number): [Operation[], RulesChange, number[], World] {
  const next = [...world];
  const replace: Replacement[] = [];
  const change: RulesChange =
    pick(4) === 0 ? { costs: pick(2) === 0 ? "doubled" : "1", programs: [wider] } : {};
  for (const [i, one] of next.entries()) {
    if (one === null || pick(3) > 0) continue;
    const version = one.version + pick(4 - one.version);
    const factor = pick(3);
    const migrates = pick(2) === 0;
    replace.push({
      path: [i],
      program: PROGRAMS[version - 1] as Uint8Array,
      ...(migrates ? { migrate: "migrate", argument: factor } : {}),
    });
    next[i] = { version, sum: migrates ? one.sum * factor : one.sum, calls: 0 };
  }
  if (pick(4) === 0) replace.push({ path: [], program: pick(2) === 0 ? root : root2, migrate: "migrate" });
  const operations: Operation[] = [];
  const expected: number[] = [];
  for (let count = pick(4); count >= 0; count--) {
    const i = pick(CHILDREN);
    const one = next[i] ?? null;
    if (one === null) {
      operations.push(["create", i, 0, contract]);
      expected.push(0);
      next[i] = { version: 1, sum: 0, calls: 0 };
    } else if (pick(3) === 0) {
      operations.push(["version", i]);
      expected.push(one.version + 256 * one.calls);
    } else {
      const value = pick(100);
      const sum = one.sum + (one.version === 1 ? 2 * value : value);
      operations.push(["add", i, value]);
      expected.push(sum);
      next[i] = { ...one, sum, calls: one.calls + 1 };
    }
  }
  return [operations, replace.length === 0 ? change : { ...change, replace }, expected, next];
}

test("random chains are what a model says, and replay to the same ids", async (t) => {
  const seed = baseSeed(t);
  const pick = random(seed);
  await withDirectory(async (store) => {
    const start = () => open({ store, workers: 3, retainBlocks: 1000 });
    let runtime = await start();
    const worlds = new Map<string, World>([[runtime.head.id, Array.from({ length: CHILDREN }, () => null)]]);
    for (let step = 0; step < 40; step++) {
      const { head } = runtime;
      const world = worlds.get(head.id) as World;
      switch (pick(10)) {
        case 0: {
          const blocks = runtime.retained();
          await runtime.revert(blocks[pick(blocks.length)] as Block);
          break;
        }
        case 1:
          await runtime.close();
          runtime =
            pick(2) === 0 ? await start() : await Runtime.open({ store, workers: 2, retainBlocks: 1000 });
          assert.equal(runtime.head.id, head.id);
          break;
        case 2: {
          // Candidates on both sides of changes at once, of which one is taken.
          const plans = [0, 1, 2].map(() => plan(world, pick));
          const made = await Promise.all(
            plans.map(([operations, rules]) => runtime.execute(metadata(...operations), { rules })),
          );
          const taken = pick(3);
          for (const [i, [, , expected]] of plans.entries())
            assert.deepEqual(results(made[i] as Block), expected);
          const block = await runtime.commit(made[taken] as (typeof made)[0]);
          worlds.set(block.id, (plans[taken] as (typeof plans)[0])[3]);
          break;
        }
        case 3: {
          const fork = await runtime.fork();
          const [operations, rules, expected] = plan(world, pick);
          assert.deepEqual(results(await fork.produce(metadata(...operations), { rules })), expected);
          await fork.close();
          break;
        }
        default: {
          const [operations, rules, expected, next] = plan(world, pick);
          const producing = runtime.produce(metadata(...operations), { rules });
          if (pick(8) === 0) await runtime.engine.pool.kill(pick(3));
          const block = await producing;
          assert.deepEqual(results(block), expected, `step ${step}, seed ${seed}`);
          worlds.set(block.id, next);
        }
      }
      checkTree(runtime);
    }
    const alone = await Runtime.open({ ...OPTIONS, workers: 1, retainBlocks: 1000 });
    for (const block of runtime.blocks().slice(1)) {
      const { metadata, ...rest } = runtime.input(block);
      assert.equal((await alone.produce(metadata, rest)).id, block.id, `seed ${seed}`);
    }
    await Promise.all([alone.close(), runtime.close()]);
  });
});
