/** Programs installed at run time: PUT PROGRAM from Wasm bytes in the caller's memory. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { AdmissionError, admit, type Block, programHash, Runtime } from "../../runtime/index.ts";
import { FEATURE_REASONS, INVALID_REASONS, LIMIT_REASONS } from "../../runtime/program/admission-error.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, REGION, Script } from "../driver.ts";
import { DRIVER_HASH, driver, guest, play, withRuntime } from "../fixture.ts";

const trivial = await guest("trivial");
const nested = await guest("nested");
const GAS = 50_000_000;

test("a program that no genesis knows runs from its bytes; relatives name it by its hash", async () => {
  const facts: unknown[] = [];
  for (const workers of [1, 3]) {
    await withRuntime([], { workers }, async (runtime) => {
      const { block, results, handles } = await play(runtime, (s) => {
        const unknown = s.put(1, { program: programHash(trivial) });
        s.put(1, { install: trivial, start: { entry: "run", argument: 4n, gas: GAS } });
        s.put(2, { program: programHash(trivial), start: { entry: "run", argument: 7n, gas: GAS } });
        return { unknown, one: s.get(1, { status: true, hash: true }), two: s.get(2, { status: true }) };
      });
      assert.equal(Number(results.value(handles.unknown)), abi.E_BAD_PROGRAM);
      assert.equal(results.status(handles.one).code, 5n);
      assert.equal(results.status(handles.two).code, 8n);
      assert.equal(runtime.inspect([1])?.program, Buffer.from(programHash(trivial)).toString("hex"));
      // After a collection the threads know the program from the heap alone; so they do in another block.
      await runtime.engine.collect();
      const later = await play(runtime, (s) => {
        s.put(1, { start: { entry: "run", argument: 4n, gas: GAS } });
        return s.get(1, { status: true });
      });
      assert.equal(later.results.status(later.handles).code, 6n);
      facts.push([block.id, block.gasUsed, later.block.id, later.block.gasUsed]);
    });
  }
  assert.deepEqual(facts[1], facts[0]);
});

test("by hash only genesis, the caller's own program and its children's can be named", async () => {
  await withRuntime([], { workers: 1 }, async (runtime) => {
    // A grandchild installs the program; its grandparent does not know it, nor after the grandchild is gone.
    const inner = new Script({ commands: 16 });
    inner.put(1, { install: trivial });
    const { results, handles } = await play(runtime, (s) => {
      s.put(1, {
        program: DRIVER_HASH,
        memoryQuotaPages: quota(100),
        processQuota: 3,
        ranges: [{ source: inner.metadata(), target: REGION }],
      });
      s.put(1, { start: { entry: "run", argument: BigInt(REGION), gas: GAS * 4 } });
      const joined = s.get(1, { status: true });
      const cousin = s.put(2, { program: programHash(trivial) });
      s.put(3, { install: trivial });
      const sibling = s.put(2, { program: programHash(trivial) });
      s.put(2, { drop: true });
      s.put(3, { drop: true });
      return { joined, cousin, sibling, orphan: s.put(2, { program: programHash(trivial) }) };
    });
    assert.equal(results.status(handles.joined).kind, abi.STATUS_RETURNED);
    assert.equal(runtime.inspect([1, 1])?.status, "fresh");
    assert.deepEqual(
      [handles.cousin, handles.sibling, handles.orphan].map((handle) => Number(results.value(handle))),
      [abi.E_BAD_PROGRAM, 0, abi.E_BAD_PROGRAM],
    );
  });
});

function errorOf(bytes: Uint8Array): AdmissionError {
  try {
    admit(bytes);
  } catch (error) {
    assert.ok(error instanceof AdmissionError);
    return error;
  }
  return assert.fail("the program is admitted");
}

test("bytes that are not admitted give the reason and the offset that the host's error names", async () => {
  const truncated = trivial.slice(0, trivial.length - 7);
  const garbage = Uint8Array.from({ length: 100 }, (_, i) => (i * 37) & 255);
  const foreign = trivial.slice();
  foreign[8] = 0x77;
  await withRuntime([], { workers: 1 }, async (runtime) => {
    for (const bytes of [truncated, garbage, foreign, Uint8Array.of(0)]) {
      const { results, handles } = await play(runtime, (s) => s.put(1, { install: bytes }));
      const error = errorOf(bytes);
      const name = `REASON_${error.reason.toUpperCase().replaceAll("-", "_")}` as keyof typeof abi;
      assert.equal(Number(results.value(handles)), abi.E_BAD_PROGRAM);
      assert.deepEqual(results.reason(handles), [abi[name], error.offset]);
      assert.equal(runtime.inspect([1]), null);
    }
    for (const suspending of [nested, driver]) {
      const { results, handles } = await play(runtime, (s) => s.put(1, { install: suspending }));
      assert.equal(Number(results.value(handles)), abi.E_BAD_PROGRAM);
      assert.equal(results.reason(handles)[0], abi.REASON_MAY_NOT_SUSPEND);
    }
  });
});

test("installing is paid by the byte, before it is done", async () => {
  await withRuntime([], { workers: 1 }, async (runtime) => {
    const install = (s: Script) => s.put(1, { install: trivial });
    const { block } = await play(runtime, install);
    assert.ok(block.gasUsed > trivial.length * 2_000);
    await runtime.revert(0);
    await assert.rejects(play(runtime, install, { gasLimit: trivial.length * 1_000 }), {
      code: "BLOCK_FAULT",
    });
  });
});

test("every reason of admission has a number for guests", () => {
  const names = [...INVALID_REASONS, ...FEATURE_REASONS, ...LIMIT_REASONS].map(
    (reason) => `REASON_${reason.toUpperCase().replaceAll("-", "_")}`,
  );
  const known = Object.keys(abi).filter((name) => name.startsWith("REASON_"));
  assert.deepEqual(known.sort(), names.sort());
});

test("the SDK installs a program and says why another one is not admitted", async () => {
  const runtime = await Runtime.open({ root: await guest("installer"), workers: 1 });
  const read = ({ data }: Block) => {
    const view = new DataView(data.buffer, data.byteOffset);
    return [view.getBigInt64(0, true), view.getUint32(8, true), view.getUint32(12, true)];
  };
  try {
    assert.deepEqual(read(await runtime.produce(trivial)), [21n, 0, 0]);
    const [code, reason, offset] = read(await runtime.produce(trivial.slice(0, -7)));
    assert.deepEqual([code, reason], [BigInt(abi.E_BAD_PROGRAM), abi.REASON_MALFORMED]);
    assert.ok(Number(offset) > 8);
    assert.equal(read(await runtime.produce(nested))[1], abi.REASON_MAY_NOT_SUSPEND);
    assert.deepEqual(read(await runtime.produce(trivial)), [21n, 0, 0]);
  } finally {
    await runtime.close();
  }
});
