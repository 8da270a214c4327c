/**
 * AssemblyScript programs of ordinary kind, with classes, collections, strings and the collecting runtime,
 * run in steps: whatever happens between and inside of steps (blocks reverted and replayed, forks of the
 * runtime, copies of the process put back, other numbers of workers), they give what the plain module gives.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { compileGuest } from "../../runtime/compile.ts";
import { type Block, programHash, type Runtime } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota } from "../driver.ts";
import { open, play } from "../fixture.ts";
import { instantiateBytes, random } from "../guest/harness.ts";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";

const GAS = 2_000_000_000;
const QUOTA_PAGES = 64;
const PROGRAMS = ["documents", "library"] as const;
const STEPS = 40n;
const compile = (name: string) =>
  compileGuest(new URL(`../guests/programs/${name}.ts`, import.meta.url).pathname, {
    runtime: "incremental",
  });

/** What the parent gives for the RET of that code. */
const answerTo = (code: bigint, salt: number): bigint =>
  BigInt.asIntN(64, (code ^ BigInt(salt)) * 0x5851f42dn);

/** Codes of all RETs and of the end, without a runtime around. */
async function plainly(bytes: Uint8Array, salt: number): Promise<bigint[]> {
  const codes: bigint[] = [];
  const guest = await instantiateBytes(bytes, {
    ret: (code) => {
      codes.push(code);
      return answerTo(code, salt);
    },
  });
  codes.push(BigInt.asIntN(64, guest.call64("run", STEPS)));
  return codes;
}

interface Step {
  readonly code: bigint;
  readonly kind: number;
  readonly memoryPages: number;
}

/** One block: starts or resumes child 1, and joins it. */
async function step(runtime: Runtime, argument: bigint, entry = ""): Promise<Step> {
  const { results, handles } = await play(runtime, (s) => {
    s.put(1, { start: { entry, argument, gas: GAS } });
    return s.get(1, { status: true, detail: 200 });
  });
  const status = results.status(handles);
  assert.equal(status.fault, 0, `fault ${status.fault}: ${results.detail(handles)}`);
  return status;
}

async function begin(bytes: Uint8Array, workers: number): Promise<{ runtime: Runtime; first: Step }> {
  const runtime = await open([bytes], { workers });
  await play(runtime, (s) =>
    s.put(1, { program: programHash(bytes), memoryQuotaPages: quota(QUOTA_PAGES), processQuota: 0 }),
  );
  return { runtime, first: await step(runtime, STEPS, "run") };
}

for (const name of PROGRAMS) {
  test(`${name}: in steps as at once, and in bounded memory`, async () => {
    const bytes = await compile(name);
    const expected = await plainly(bytes, 5);
    const { runtime, first } = await begin(bytes, 1);
    try {
      const codes = [first.code];
      let last = first;
      while (last.kind === abi.STATUS_RET) {
        last = await step(runtime, answerTo(last.code, 5));
        codes.push(last.code);
      }
      assert.deepEqual(codes, expected);
      assert.equal(last.kind, abi.STATUS_RETURNED);
      assert.ok(last.memoryPages <= QUOTA_PAGES);
    } finally {
      await runtime.close();
    }
  });

  test(`${name}: reverts, forks, copies put back and replays change nothing`, async (t) => {
    const seed = baseSeed(t);
    const bytes = await compile(name);
    for (let round = 0; round < sized(1, 3); round++) {
      const next = random(seed + round);
      const expected = await plainly(bytes, round);
      const { runtime: opened, first } = await begin(bytes, 1 + (next() % 3));
      const runtimes = [opened];
      try {
        let runtime = opened;
        // By number of codes seen: the block then, and the code.
        const history: { block: Block; code: bigint }[] = [{ block: runtime.head, code: first.code }];
        const roots = new Map<number, string>();
        while (history.length < expected.length) {
          const { code } = history.at(-1)!;
          switch (next() % 8) {
            case 0: {
              const back = Math.max(0, history.length - 1 - (next() % 8));
              await runtime.revert(history[back]!.block);
              history.length = back + 1;
              break;
            }
            case 1:
              if (runtimes.length < 4) {
                runtime = await runtime.fork();
                runtimes.push(runtime);
              }
              break;
            case 2:
              // The step is made twice: once by a copy that is dropped, or that takes the original's place.
              await copyAndStep(runtime, answerTo(code, round), next() % 2 === 0);
              history.push({ block: runtime.head, code: (await look(runtime)).code });
              break;
            default: {
              const { code: got } = await step(runtime, answerTo(code, round));
              history.push({ block: runtime.head, code: got });
            }
          }
          const count = history.length;
          assert.equal(history.at(-1)!.code, expected[count - 1], `seed ${seed + round}, code ${count}`);
          const root = await childRoot(runtime, history.at(-1)!.block);
          assert.equal(root, roots.get(count) ?? root, `seed ${seed + round}: state after code ${count}`);
          roots.set(count, root);
        }
      } finally {
        for (const runtime of runtimes) await runtime.close();
      }
    }
  });
}

async function look(runtime: Runtime): Promise<Step> {
  const { results, handles } = await play(runtime, (s) => s.get(1, { status: true }));
  return results.status(handles);
}

/** Copies child 1 to 2, disturbs one of them by a step of its own, and steps with the other, as child 1. */
async function copyAndStep(runtime: Runtime, argument: bigint, keepCopy: boolean): Promise<void> {
  await play(runtime, (s) => {
    s.put(2, { clone: 1 });
    const disturbed = keepCopy ? 1 : 2;
    s.put(disturbed, { start: { argument: argument ^ 77n, gas: GAS } });
    s.get(disturbed, { status: true });
    if (keepCopy) s.put(1, { clone: 2 });
    s.put(2, { drop: true });
    s.put(1, { start: { argument, gas: GAS } });
    s.get(1, { status: true });
  });
}

/** The hash of child 1 without what only says how it came here: the reference snapshot. */
async function childRoot(runtime: Runtime, block: Block): Promise<string> {
  const { results, handles } = await play(runtime, (s) => {
    s.put(3, { clone: 1 });
    return s.get(3, { hash: true });
  });
  await runtime.revert(block);
  return Buffer.from(results.hash(handles)).toString("hex");
}
