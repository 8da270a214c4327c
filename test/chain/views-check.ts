/**
 * The promises of views that a slip would break, checked in one process. Ends with status 1 and says what is
 * wrong if one is. Without arguments: test/chain/views-planted.test.ts runs it with faults.
 */

import assert from "node:assert/strict";
import * as abi from "../../syscalls/abi.ts";
import { quota, REGION, RESULTS, SCRATCH, Script } from "../driver.ts";
import { DRIVER_HASH, play, withRuntime } from "../fixture.ts";

const GAS = 5_000_000;
const LENGTH = RESULTS - 8;

function scriptOf(write: (script: Script) => unknown): Uint8Array {
  const script = new Script({ commands: 16 });
  write(script);
  script.store(LENGTH, 0x80n << 32n);
  return script.metadata();
}

const options = { memoryQuotaPages: quota(1024), heldGasQuota: 1e11, retainBlocks: 1, workers: 2 };
await withRuntime([], options, async (runtime) => {
  const { engine } = runtime;
  await play(runtime, (s) => {
    s.store(SCRATCH, 41n);
    s.put(1, { program: DRIVER_HASH, memoryQuotaPages: quota(400), processQuota: 2, heldGas: 100 });
  });
  const call = async (script: Uint8Array, signal?: AbortSignal) => {
    const more = signal === undefined ? {} : { signal };
    const place = { inbox: REGION, outbox: LENGTH + 4, argument: REGION };
    const view = await runtime.call([], "run", { input: script, gas: GAS, ...place, ...more });
    return { ...view, values: [...new BigInt64Array(view.output.slice(8).buffer)] };
  };

  // A suspension is refused, and costs what a refused call costs.
  const suspended = await call(scriptOf((s) => s.ret(1n)));
  assert.deepEqual([suspended.status, suspended.values[0]], ["returned", BigInt(abi.E_PERMISSION)]);

  // What an earlier view wrote is not there, in the same slot.
  const add = scriptOf((s) => {
    s.load(SCRATCH);
    s.store(SCRATCH, 1000n);
    s.grow(1);
  });
  for (let i = 0; i < 3; i++) {
    const { values } = await call(add);
    assert.deepEqual([values[0], values[2]], [41n, 80n]);
  }

  // A state that is forgotten while its view waits stays until that has ended.
  const first = await call(scriptOf((s) => s.load(SCRATCH)));
  const state = runtime.refOf(runtime.head);
  const isReached = async (): Promise<boolean> => {
    await engine.collect({ force: true });
    return ((engine.heap.marks[state >>> 3] as number) & (1 << (state & 7))) !== 0;
  };
  const stop = new AbortController();
  const endless = runtime.call([], "run", {
    ...{ input: scriptOf((s) => s.spin(0)), inbox: REGION, argument: REGION, gas: 2 ** 50 },
    signal: stop.signal,
  });
  const rejected = assert.rejects(endless, { code: "CANCELLED" });
  const late = call(scriptOf((s) => s.load(SCRATCH)));
  await play(runtime, (s) => s.fill(SCRATCH, 0x1000, 1));
  const reached = await isReached();
  stop.abort();
  await rejected;
  assert.ok(reached, "the state of a view that waits was freed");
  assert.deepEqual(await late, first);
  assert.ok(!(await isReached()), "the state of a view that has ended was kept");
});
process.exit(0);
