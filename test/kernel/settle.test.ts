/** Changed pages are paid before they are captured, wherever pages are captured. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ENTRY_CONTINUE, type Process } from "../../runtime/image/process.ts";
import { COST_CALL, COST_PAGE_CHANGED, COST_PAGE_TOUCH, COST_STACK_BYTE } from "../../runtime/kernel/gas.ts";
import { writeInputs } from "../../runtime/kernel/items/objects.ts";
import { PAGE_BYTES, WASM_PAGE_BYTES } from "../../runtime/limits.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import * as abi from "../../syscalls/abi.ts";
import { DRIVER_INITIAL_MEMORY, quota, type Script } from "../driver.ts";
import { build } from "../program/build.ts";
import { solo } from "../solo.ts";
import { Bench, counted, type Work } from "./counted.ts";

const PAGES = 640;
/** Gas to touch all, and for so many that changed. */
const PAID = 50;
const GAS = PAGES * COST_PAGE_TOUCH + PAID * COST_PAGE_CHANGED;
/** Pages that a script changes besides, and whose gas it takes for calls and instructions. */
const OTHERS = 20;

/** A script that changes many pages, then continues. */
function changes(byte: number, then: (s: Script) => void): (s: Script) => void {
  return (s) => {
    s.grow((PAGES * PAGE_BYTES) / WASM_PAGE_BYTES);
    s.fill(DRIVER_INITIAL_MEMORY * WASM_PAGE_BYTES, PAGES * PAGE_BYTES, byte);
    then(s);
  };
}

function checkFault({ result, work }: { result: Process; work: Work }): void {
  assert.deepEqual([result.status, result.fault], [abi.STATUS_FAULTED, abi.FAULT_OUT_OF_GAS]);
  assert.ok(work.pages <= PAID + OTHERS, `${work.pages} pages were captured`);
  assert.ok(work.nodes <= 4 * (PAID + OTHERS), `${work.nodes} nodes were made`);
}

const ENDS: Readonly<Record<string, (s: Script) => void>> = {
  "returns from its entry": () => {},
  "suspends itself in RET": (s) => s.ret(1n),
  "clones itself": (s) => s.put(1, { clone: abi.CLONE_SELF, memoryQuotaPages: quota(1000) }),
};

for (const [name, then] of Object.entries(ENDS)) {
  test(`an activation that ${name} captures no more pages than its gas pays for`, async () => {
    const bench = await Bench.open();
    checkFault(bench.run(changes(1, then), GAS + OTHERS * COST_PAGE_CHANGED));
    // What was captured and what was not is gone: the next run finds zeros, and equal bytes cost nothing.
    bench.run(changes(0, () => {}));
    const { result, work } = bench.run(
      (s) => {
        s.fill(DRIVER_INITIAL_MEMORY * WASM_PAGE_BYTES, PAGES * PAGE_BYTES, 0);
      },
      GAS + OTHERS * COST_PAGE_CHANGED,
    );
    assert.equal(result.status, abi.STATUS_RETURNED);
    assert.ok(work.pages <= OTHERS, `${work.pages} pages were captured`);
    const enough = bench.run((s) => {
      s.fill(DRIVER_INITIAL_MEMORY * WASM_PAGE_BYTES, PAGES * PAGE_BYTES, 3);
      then(s);
    });
    assert.notEqual(enough.result.status, abi.STATUS_FAULTED);
    assert.ok(enough.work.pages >= PAGES && enough.work.pages <= PAGES + OTHERS);
  });
}

test("the start function before a batch captures no more pages than its gas pays for", async () => {
  const program = build({
    memory: [PAGES / 16 + 1, PAGES / 16 + 1],
    start: 1,
    functions: [
      { parameters: [op.I64], results: [op.I64], export: "item", code: (c) => c.get(0) },
      {
        code: (c) => {
          for (const value of [PAGE_BYTES, 1, PAGES * PAGE_BYTES]) c.i32(value);
          c.op(op.MEMORY_FILL);
          c.u8(0);
        },
      },
    ],
  });
  const { heap, kernel, fresh } = await solo([program]);
  const batch = (gas: number) => {
    const start = fresh(0);
    start.status = abi.STATUS_RUNNABLE;
    const mail = { inbox: 0, inboxCapacity: 8, outbox: 8, outboxCapacity: 8 };
    start.inputs = writeInputs(heap, { ...mail, count: 0, list: [], bytes: 0 }, Buffer.alloc(0));
    start.gas = gas;
    return counted(heap, () => kernel.activate(start, 1));
  };
  checkFault(batch(GAS + OTHERS * COST_PAGE_CHANGED));
  const { result, work } = batch(2 * PAGES * COST_PAGE_CHANGED);
  assert.equal(result.status, abi.STATUS_RETURNED);
  assert.equal(work.pages, PAGES);
});

test("a suspended stack is put back only with gas enough for it", async () => {
  const bench = await Bench.open();
  const { heap } = bench.solo;
  bench.run((s) => s.ret(1n));
  const suspended = bench.process;
  const cost = COST_CALL + heap.length(suspended.continuation) * COST_STACK_BYTE;
  const { payload } = heap;
  let restored = 0;
  heap.payload = (ref) => {
    if (ref === suspended.continuation) restored++;
    return payload.call(heap, ref);
  };
  const resume = (gas: number): Process => {
    const start = suspended.copy();
    start.status = abi.STATUS_RUNNABLE;
    start.entry = ENTRY_CONTINUE;
    start.gas = gas;
    return bench.solo.kernel.activate(start, 1);
  };
  const short = resume(cost - 1);
  assert.deepEqual([short.fault, short.gasUsed, restored], [abi.FAULT_OUT_OF_GAS, cost - 1, 0]);
  assert.equal(resume(1_000_000).status, abi.STATUS_RETURNED);
  assert.equal(restored, 1);
});
