/** How a runtime ends: what keeps the process alive, closing with and without cancelling, a full queue. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { hash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { verifyHeader } from "../../runtime/index.ts";
import { SCRATCH, Script } from "../driver.ts";
import { ENDLESS_GAS, open, withRuntime } from "../fixture.ts";
import { withDirectory } from "../store/directory.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;

function storing(value: number): Uint8Array {
  const script = new Script();
  script.store(SCRATCH, BigInt(value));
  return script.metadata();
}

function spinning(): Uint8Array {
  const script = new Script();
  script.spin(2 ** 31 - 1);
  return script.metadata();
}

/** Runs a program that has the fixture's `open`, and `path` for a store; it must end by itself. */
function ends(body: string, path: string): { status: number | null; output: string } {
  const fixture = fileURLToPath(new URL("../fixture.ts", import.meta.url));
  const driver = fileURLToPath(new URL("../driver.ts", import.meta.url));
  const program = `
    import { open } from ${JSON.stringify(fixture)};
    import { Script, SCRATCH } from ${JSON.stringify(driver)};
    const path = ${JSON.stringify(path)};
    const storing = (value) => {
      const script = new Script();
      script.store(SCRATCH, BigInt(value));
      return script.metadata();
    };
    ${body}`;
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const file = `${path}.mjs`;
  writeFileSync(file, program);
  const limits = { encoding: "utf8", timeout: 600_000 } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { ...limits, env });
  return { status, output: stdout + stderr };
}

test("an idle runtime does not keep the process alive, and work in progress does", async () => {
  for (const body of [
    `const runtime = await open([], { workers: 3 });
     for (let i = 0; i < 3; i++) await runtime.produce(storing(i));
     const fork = await runtime.fork();
     await fork.execute(storing(4));
     console.log(runtime.head.height);`,
    // Nobody waits for the block; it is run all the same.
    `const runtime = await open([], { workers: 2 });
     await runtime.produce(storing(0));
     runtime.produce(storing(1));
     runtime.produce(storing(2)).then(({ height }) => console.log(height));`,
  ]) {
    const { status, output } = await withDirectory(async (path) => ends(body, path));
    assert.deepEqual({ status, output: output.trim() }, { status: 0, output: "3" });
  }
});

test("acknowledged blocks are on the disk when the process ends by itself", async () => {
  await withDirectory(async (path) => {
    const { status, output } = ends(
      `const runtime = await open([], { workers: 1, store: { path, durability: "logged" } });
       for (let i = 1; i <= 40; i++) await runtime.produce(storing(i));
       console.log(runtime.head.id);`,
      path,
    );
    assert.equal(status, 0, output);
    // Nobody holds it.
    const again = await open([], { ...OPTIONS, store: path });
    assert.equal(again.head.height, 40);
    assert.equal(again.head.id, output.trim());
    await again.close();
  });
});

test("closing with cancel rejects calls in progress and waiting ones, and keeps all blocks", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { workers: 2, gasLimit: ENDLESS_GAS, store: path });
    await runtime.produce(storing(1));
    const calls = [
      runtime.produce(spinning()),
      runtime.produce(storing(2)),
      runtime.revert(0),
      runtime.execute(spinning()),
    ];
    const { pool } = runtime.engine;
    while (pool.threadsAtWork < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    const rejected = calls.map((call) => assert.rejects(call, { code: "CANCELLED" }));
    const patient = runtime.close();
    // A second call may be less patient than the first.
    await runtime.close({ cancel: true });
    await patient;
    await Promise.all(rejected);
    await assert.rejects(runtime.produce(storing(3)), { code: "CLOSED" });
    await assert.rejects(runtime.execute(storing(3)), { code: "CLOSED" });
    const again = await open([], { ...OPTIONS, gasLimit: ENDLESS_GAS, store: path });
    assert.equal(again.head.height, 1);
    await again.close({ cancel: true });
    await assert.rejects(again.close({ cancel: 1 } as never), { code: "BAD_OPTION" });
    await assert.rejects(again.close({ force: true } as never), { code: "BAD_OPTION" });
  });
});

test("calls beyond the queue's limit are rejected, and those in it are not harmed", async () => {
  await withRuntime([], { ...OPTIONS, queueLimit: 3 }, async (runtime) => {
    const calls = Array.from({ length: 6 }, (_, i) => runtime.produce(storing(i)));
    const results = await Promise.allSettled(calls);
    assert.deepEqual(
      results.map((result) => (result.status === "fulfilled" ? result.value.height : result.reason.code)),
      [1, 2, 3, "QUEUE_FULL", "QUEUE_FULL", "QUEUE_FULL"],
    );
    assert.equal((await runtime.produce(storing(9))).height, 4);
    for (const queueLimit of [0, -1, 1.5]) {
      await assert.rejects(open([], { queueLimit }), { code: "BAD_OPTION" });
    }
  });
});

test("metadata that is too large to hash here is hashed by a worker", async () => {
  await withRuntime([], OPTIONS, async (runtime) => {
    for (const length of [100, 1 << 16, 1 << 19]) {
      const script = new Script();
      script.place(new Uint8Array(length).fill(length >> 8));
      const metadata = script.metadata();
      const block = await runtime.produce(metadata);
      const { metadataHash } = verifyHeader(block.id, runtime.blockHeader(block));
      assert.equal(metadataHash, hash("sha256", metadata));
    }
  });
});
