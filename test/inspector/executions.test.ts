/** Blocks that are executed again for those who look at them, and given up when nobody does any more. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { recordBlock } from "../../runtime/debug.ts";
import type { Block } from "../../runtime/index.ts";
import { Executions } from "../../runtime/inspector/executions.ts";
import { Source } from "../../runtime/inspector/source.ts";
import { ENDLESS_GAS, play, withRuntime } from "../fixture.ts";
import { serve } from "./bank-store.ts";

const block = (id: string): Block => ({ id }) as Block;

test("what nobody waits for any more is given up, what another waits for is not", async () => {
  const runs: { readonly id: string; readonly signal: AbortSignal; readonly end: (text: string) => void }[] =
    [];
  const executions = new Executions<string>(({ id }, signal) => {
    return new Promise((resolve, reject) => {
      runs.push({ id, signal, end: resolve });
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  });
  const begun = async (count: number): Promise<void> => {
    while (runs.length < count) await new Promise((resolve) => setImmediate(resolve));
  };
  const leaving = [new AbortController(), new AbortController()] as const;
  const left = leaving.map(({ signal }) => executions.of(block("a"), signal));
  const waiting = executions.of(block("b"), new AbortController().signal);
  await begun(1);
  leaving[0].abort(new Error("left"));
  assert.equal(runs[0]?.signal.aborted, false, "another one waits");
  leaving[1].abort(new Error("left"));
  for (const each of left) await assert.rejects(each, { message: "left" });
  // The next in turn runs, and what was given up runs again when somebody asks again.
  await begun(2);
  const again = executions.of(block("a"));
  runs[1]?.end("b ran");
  assert.equal(await waiting, "b ran");
  await begun(3);
  runs[2]?.end("a ran");
  assert.deepEqual([await again, runs.map(({ id }) => id).join("")], ["a ran", "aba"]);
  // What is known is given to everybody, and cannot be given up.
  assert.equal(await executions.of(block("a"), AbortSignal.abort()), "a ran");
  assert.equal(runs.length, 3);
});

test("one that is given up before its turn never runs", async () => {
  let ran = 0;
  const executions = new Executions<number>(async () => ++ran);
  const first = executions.of(block("a"));
  const cancelled = executions.of(block("b"), AbortSignal.abort());
  await assert.rejects(cancelled, { code: "CANCELLED" });
  assert.deepEqual([await first, await executions.of(block("c")), ran], [1, 2, 2]);
});

test("a browser that goes away ends the execution that it asked for", async () => {
  await withRuntime([], { workers: 1, gasLimit: ENDLESS_GAS }, async (runtime) => {
    const { block: long } = await play(runtime, (script) => script.spin(400_000_000));
    const results: { readonly started: Promise<unknown>; readonly what: string }[] = [];
    let started = Promise.withResolvers<void>();
    const watched = <T>(what: string, run: (of: Block, signal: AbortSignal) => Promise<T>) => {
      return (of: Block, signal: AbortSignal): Promise<T> => {
        const result = run(of, signal);
        results.push({ what, started: result });
        started.resolve();
        return result;
      };
    };
    await using source = new Source({
      ...{ name: "spin", kind: "runtime", chain: runtime, recorded: async () => null },
      trace: watched("trace", async (of, signal) => ({
        ...(await runtime.trace(of, { signal })),
        transactions: [],
      })),
      record: watched("record", (of, signal) => recordBlock(runtime, of, { signal, workers: 1 })),
    });
    const listener = await serve(source);
    try {
      for (const view of ["gas", "faults", "batch", "meeting"]) {
        started = Promise.withResolvers();
        const leave = new AbortController();
        const asked = fetch(`${listener.url}/api/${view}?block=${long.id}`, { signal: leave.signal });
        const rejected = assert.rejects(asked, { name: "AbortError" });
        await started.promise;
        leave.abort();
        await rejected;
        await assert.rejects(results.at(-1)?.started ?? Promise.resolve(), { code: "CANCELLED" }, view);
      }
      assert.deepEqual(
        results.map(({ what }) => what),
        ["trace", "trace", "record", "record"],
      );
    } finally {
      await listener.close(0);
    }
  });
});
