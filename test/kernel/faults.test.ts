/**
 * Faults through the runtime: every kind, seen by a parent and by the host; what a fault takes back, what it
 * costs, and how one continues after it. Guests that never end, never stop calling or never stop growing.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { compileGuest } from "../../runtime/compile.ts";
import { BlockFault, programHash, Runtime } from "../../runtime/index.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, Script } from "../driver.ts";
import { DRIVER_HASH, guest, open, play, withRuntime } from "../fixture.ts";
import { build } from "../program/build.ts";
import { checkTree } from "./invariants.ts";

const trap = await compileGuest(new URL("../guests/trap.ts", import.meta.url).pathname, {
  disable: ["nontrapping-f2i"],
});
const nested = await guest("nested");
const spin = await guest("spin");
const recurse = await guest("recurse");
const grow = await guest("grow");
const [TRAP, NESTED, SPIN, RECURSE, GROW] = [trap, nested, spin, recurse, grow].map(programHash) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const GAS = 5_000_000;

let runtime: Runtime;
before(async () => {
  runtime = await open([trap, nested, spin, recurse, grow]);
});
after(() => runtime.close());

/** Every test begins at block 0. */
const fresh: typeof play = async (on, write, options) => {
  await on.revert(0);
  const played = await play(on, write, options);
  checkTree(on);
  return played;
};

const KINDS: readonly [entry: string, fault: number][] = [
  ["unreachableCode", abi.FAULT_UNREACHABLE],
  ["abortWithMessage", abi.FAULT_ABORT],
  ["abortWithoutMessage", abi.FAULT_ABORT],
  ["assertion", abi.FAULT_ABORT],
  ["loadOutside", abi.FAULT_MEMORY_BOUNDS],
  ["storeOutside", abi.FAULT_MEMORY_BOUNDS],
  ["fillOutside", abi.FAULT_MEMORY_BOUNDS],
  ["copyOutside", abi.FAULT_MEMORY_BOUNDS],
  ["divideByZero", abi.FAULT_DIVISION_BY_ZERO],
  ["divideByZero32", abi.FAULT_DIVISION_BY_ZERO],
  ["remainderByZero", abi.FAULT_DIVISION_BY_ZERO],
  ["divisionOverflow", abi.FAULT_INTEGER_OVERFLOW],
  ["divisionOverflow32", abi.FAULT_INTEGER_OVERFLOW],
  ["badConversion", abi.FAULT_BAD_CONVERSION],
  ["notANumberConversion", abi.FAULT_BAD_CONVERSION],
  ["callOutsideTable", abi.FAULT_BAD_INDIRECT_CALL],
  ["wrongType", abi.FAULT_BAD_INDIRECT_CALL],
  ["emptyElement", abi.FAULT_BAD_INDIRECT_CALL],
];

describe("each kind of fault of a child", () => {
  for (const [entry, fault] of KINDS) {
    test(`${entry} gives its code, and the child is back at its START`, async () => {
      const { results, handles, block } = await fresh(runtime, (s) => {
        s.put(1, { program: TRAP, start: { entry: "setMark", argument: 77n, gas: GAS } });
        const earlier = s.get(1, { status: true, copy: [{ source: 0, length: 65536 }] });
        s.put(1, { start: { entry, gas: GAS } });
        const faulted = s.get(1, { status: true, detail: 200, copy: [{ source: 0, length: 65536 }] });
        s.put(1, { start: { entry: "markValue", gas: GAS } });
        return [earlier, faulted, s.get(1, { status: true })] as const;
      });
      const status = results.status(handles[1]);
      assert.deepEqual([status.kind, status.fault, status.code], [abi.STATUS_FAULTED, fault, 0n]);
      assert.deepEqual(results.bytes(handles[1]), results.bytes(handles[0]), "memory as at the START");
      assert.equal(results.status(handles[2]).code, 77n, "and it runs again");
      if (fault === abi.FAULT_ABORT) {
        assert.ok(status.gasUsed < 10_000n, `an abort leaves the rest: used ${status.gasUsed}`);
      } else {
        assert.equal(status.gasUsed, BigInt(GAS), "a trap uses up all gas");
        assert.equal(results.detail(handles[1]), "");
        assert.deepEqual([status.line, status.column], [0, 0]);
      }
      assert.ok(block.gasUsed > 0);
    });
  }

  test("an abort carries the guest's message, file, line and column", async () => {
    const { results, handles } = await fresh(runtime, (s) =>
      ["abortWithMessage", "abortWithoutMessage", "assertion"].map((entry) => {
        s.put(1, { program: TRAP, start: { entry, gas: GAS } });
        return [s.get(1, { status: true, detail: 200 }), s.get(1, { status: true, detail: 7 })] as const;
      }),
    );
    const texts = handles.map(([whole]) => results.detail(whole));
    assert.match(texts[0] as string, /^the guest's message: äöü € in .*trap\.ts$/);
    assert.equal(texts[1], "", "abort() of AssemblyScript passes nothing on");
    assert.match(texts[2] as string, /^argument is zero in .*trap\.ts$/);
    for (const [whole, cut] of handles) {
      const { line, column, detailLength } = results.status(whole);
      assert.equal(line > 30 && column > 0, detailLength > 0);
      assert.equal(detailLength, Buffer.byteLength(results.detail(whole)));
      assert.equal(results.status(cut).detailLength, detailLength, "the length is that of the whole text");
      assert.equal(results.detail(cut), Buffer.from(results.detail(whole)).toString("utf8", 0, 7));
    }
  });
});

test("what a child gives back is exact: all after return, RET and abort, nothing after a trap", async () => {
  const used = async (entry: string, program: Uint8Array, gas: number): Promise<[number, bigint]> => {
    const { block, results, handles } = await fresh(runtime, (s) => {
      s.put(1, { program });
      s.put(1, { start: { entry, gas } });
      return s.get(1, { status: true });
    });
    return [block.gasUsed, results.status(handles).gasUsed];
  };
  for (const [entry, program, exact] of [
    ["markValue", TRAP, true],
    ["immediate", NESTED, true],
    ["abortWithMessage", TRAP, true],
    ["unreachableCode", TRAP, false],
  ] as const) {
    const [block, child] = await used(entry, program, 1_000_000);
    const [moreBlock, moreChild] = await used(entry, program, 3_000_000);
    if (exact) assert.deepEqual([moreBlock, moreChild], [block, child], entry);
    else assert.deepEqual([moreBlock - block, moreChild - child], [2_000_000, 2_000_000n], entry);
    if (!exact) continue;
    const changed = entry === "immediate" ? abi.STATUS_RET : undefined;
    const { results, handles } = await fresh(runtime, (s) =>
      [child, child - 1n].map((gas, i) => {
        s.put(i, { program, start: { entry, gas } });
        return s.get(i, { status: true });
      }),
    );
    const [enough, short] = handles.map((handle) => results.status(handle));
    if (changed !== undefined) assert.equal(enough?.kind, changed);
    assert.notEqual(enough?.fault, abi.FAULT_OUT_OF_GAS, `${entry} with all it needs`);
    assert.equal(short?.fault, abi.FAULT_OUT_OF_GAS, `${entry} with one less`);
    assert.equal(short?.gasUsed, child - 1n);
  }
});

test("after out of gas a child is tried again with more, from the same state", async () => {
  const { results, handles } = await fresh(runtime, (s) => {
    s.put(1, { program: TRAP });
    const tries = [100, 10_000, GAS].map((gas) => {
      s.put(1, { start: { entry: "setMark", argument: 5n, gas } });
      return s.get(1, { status: true });
    });
    s.put(2, { program: TRAP, start: { entry: "setMark", argument: 5n, gas: GAS } });
    return [...tries, s.get(2, { status: true })];
  });
  const [first, second, third, straight] = handles.map((handle) => results.status(handle));
  assert.deepEqual([first?.fault, second?.fault], [abi.FAULT_OUT_OF_GAS, abi.FAULT_OUT_OF_GAS]);
  assert.deepEqual(third, straight, "the tries before left no trace");
});

test("KEEP falls back to the earlier reference snapshot, without it to the latest START", async () => {
  const codes: bigint[] = [];
  for (const keep of [true, false]) {
    const { results, handles } = await fresh(runtime, (s) => {
      s.put(1, { program: TRAP, start: { entry: "setMark", argument: 1n, gas: GAS } });
      s.get(1, { status: true });
      s.put(1, { start: { entry: "setMark", argument: 2n, gas: GAS } });
      s.get(1, { status: true });
      s.put(1, { start: { entry: "unreachableCode", gas: GAS, keep } });
      s.get(1, { status: true });
      s.put(1, { start: { entry: "markValue", gas: GAS } });
      return s.get(1, { status: true });
    });
    codes.push(results.status(handles).code);
  }
  assert.deepEqual(codes, [1n, 2n], "with KEEP the mark of the START before the last success");
});

test("a fault after RET leaves the child in RET's place: START continues it there again", async () => {
  const { results, handles } = await fresh(runtime, (s) => {
    s.put(1, { program: NESTED, start: { entry: "calls", argument: 1n, gas: GAS } });
    const seen = [s.get(1, { status: true })];
    for (const gas of [10, GAS, 0, 20, GAS, GAS]) {
      seen.push(s.put(1, { start: { entry: "calls", gas: GAS } }));
      s.put(1, { start: { argument: 7n, gas } });
      seen.push(s.get(1, { status: true }));
    }
    return seen;
  });
  const kinds = handles.map((handle, i) =>
    i % 2 === 0 ? results.status(handle).kind : Number(results.value(handle)),
  );
  const { STATUS_RET, STATUS_FAULTED, STATUS_RETURNED, E_STATE } = abi;
  assert.deepEqual(
    kinds.filter((_kind, i) => i % 2 === 0),
    [STATUS_RET, STATUS_FAULTED, STATUS_RET, STATUS_FAULTED, STATUS_FAULTED, STATUS_RET, STATUS_RETURNED],
  );
  assert.ok(
    kinds.every((kind, i) => i % 2 === 0 || kind === E_STATE),
    "an entry cannot be run meanwhile",
  );
  assert.equal(results.status(handles.at(-1) as number).code, 36n, "7·3 + 7 + 1 + 7");
});

test("a fault takes back the grandchildren too: those made, those started, those dropped", async () => {
  const base = 0x200000;
  const { results, handles } = await fresh(runtime, (s) => {
    const setup = new Script({ base });
    setup.put(1, { program: TRAP, start: { entry: "setMark", argument: 4n, gas: GAS } });
    setup.get(1, { status: true });
    setup.put(2, { program: TRAP });
    const breaking = new Script({ base });
    breaking.put(1, { drop: true });
    breaking.put(2, { start: { entry: "setMark", argument: 9n, gas: GAS } });
    breaking.put(3, { program: TRAP, start: { entry: "setMark", argument: 9n, gas: GAS } });
    breaking.trap();
    s.put(1, {
      program: DRIVER_HASH,
      memoryQuotaPages: quota(90),
      processQuota: 5,
      ranges: [{ source: setup.metadata(), target: base }],
    });
    s.put(1, { start: { entry: "run", argument: BigInt(base), gas: GAS * 10 } });
    s.put(1, { ranges: [{ source: breaking.metadata(), target: base }] });
    const before = s.get(1, { hash: true, status: true });
    s.put(1, { start: { entry: "run", argument: BigInt(base), gas: GAS * 10 } });
    return [before, s.get(1, { status: true })] as const;
  });
  assert.deepEqual(
    [results.status(handles[0]).kind, results.status(handles[0]).children],
    [abi.STATUS_RETURNED, 2],
  );
  const status = results.status(handles[1]);
  assert.deepEqual([status.fault, status.children], [abi.FAULT_UNREACHABLE, 2]);
  assert.deepEqual(runtime.inspect([1])?.children, [1, 2]);
  assert.deepEqual([runtime.inspect([1, 1])?.code, runtime.inspect([1, 2])?.status], [4n, "fresh"]);
});

describe("start functions", () => {
  const { I32, I64 } = op;
  /** The start function stores the call's result at 0 and may trap then; `main` returns what is there. */
  const module = (call: "put" | "get" | "ret" | "snapshot" | "none", trapping = false): Uint8Array =>
    build({
      imports: [
        ["stillpoint", "put", [I32, I32], [I32]],
        ["stillpoint", "get", [I32, I32], [I32]],
        ["stillpoint", "ret", [I64], [I64]],
        ["stillpoint", "snapshot", [I32], [I32]],
      ],
      functions: [
        {
          code: (code) => {
            code.i32(0);
            if (call === "ret") code.i64(3n);
            else if (call !== "none") code.i32(64);
            if (call === "put" || call === "get") code.i32(64);
            if (call === "none") code.i64(11n);
            else code.index(op.CALL, ["put", "get", "ret", "snapshot"].indexOf(call));
            if (call !== "none" && call !== "ret") code.op(0xac); // i64.extend_i32_s
            code.op(0x37); // i64.store
            code.u32(3);
            code.u32(0);
            if (trapping) code.op(0x00);
          },
        },
        {
          parameters: [I64],
          results: [I64],
          export: "main",
          code: (code) => {
            code.i32(0);
            code.op(0x29); // i64.load
            code.u32(3);
            code.u32(0);
          },
        },
      ],
      start: 4,
    });

  test("no call is permitted in one", async () => {
    const calls = ["put", "get", "ret", "snapshot"] as const;
    const modules = calls.map((call) => module(call));
    await withRuntime(modules, {}, async (other) => {
      const { results, handles } = await play(other, (s) =>
        modules.map((bytes, i) => {
          s.put(i, { program: programHash(bytes), start: { entry: "main", gas: GAS } });
          return s.get(i, { status: true });
        }),
      );
      for (const [i, handle] of handles.entries()) {
        assert.equal(results.status(handle).code, BigInt(abi.E_PERMISSION), calls[i] as string);
      }
    });
  });

  test("a fault in one is a fault of the activation, and the next START runs it again", async () => {
    const good = module("none");
    const bad = module("none", true);
    await withRuntime([good, bad], {}, async (other) => {
      const { results, handles } = await play(other, (s) => {
        s.put(1, { program: programHash(bad), start: { entry: "main", gas: GAS } });
        const seen = [s.get(1, { status: true })];
        s.put(2, { program: programHash(good), start: { entry: "main", gas: 3 } });
        seen.push(s.get(2, { status: true }));
        for (let i = 0; i < 2; i++) {
          s.put(2, { start: { entry: "main", gas: GAS } });
          seen.push(s.get(2, { status: true }));
        }
        return seen;
      });
      const [trapped, short, first, second] = handles.map((handle) => results.status(handle));
      assert.deepEqual([trapped?.fault, short?.fault], [abi.FAULT_UNREACHABLE, abi.FAULT_OUT_OF_GAS]);
      assert.deepEqual([first?.code, second?.code], [11n, 11n]);
      assert.ok((first?.gasUsed as bigint) > (second?.gasUsed as bigint), "it runs once, and is paid");
      checkTree(other);
    });
  });
});

test("endless loops end when their gas does", async () => {
  const { results, handles } = await fresh(runtime, (s) =>
    ["run", "writing", "calling"].map((entry, i) => {
      s.put(i, { program: SPIN, start: { entry, gas: 20_000_000 } });
      return s.get(i, { status: true });
    }),
  );
  for (const handle of handles) {
    const { fault, gasUsed } = results.status(handle);
    assert.deepEqual([fault, gasUsed], [abi.FAULT_OUT_OF_GAS, 20_000_000n]);
  }
});

test("recursion without end is a fault, and bounded recursion is not", async () => {
  const { results, handles } = await fresh(runtime, (s) =>
    (["run", "mutual", "indirect", "wide", "bounded"] as const).map((entry, i) => {
      s.put(i, {
        program: RECURSE,
        start: { entry, argument: entry === "bounded" ? 1000n : 0n, gas: 500_000_000 },
      });
      return s.get(i, { status: true });
    }),
  );
  const statuses = handles.map((handle) => results.status(handle));
  for (const { fault } of statuses.slice(0, 4)) assert.equal(fault, abi.FAULT_CALL_DEPTH);
  assert.deepEqual([statuses[4]?.kind, statuses[4]?.code], [abi.STATUS_RETURNED, 1000n]);
});

test("memory grows to its quota and no further, and a fault gives the pages back", async () => {
  const { results, handles } = await fresh(runtime, (s) => {
    const call = (entry: string, argument: bigint): number => {
      s.put(1, { start: { entry, argument, gas: 50_000_000 } });
      return s.get(1, { status: true });
    };
    s.put(1, { program: GROW, memoryQuotaPages: 100 * 16 + abi.PROCESS_PAGES });
    return [
      call("by", 0xffff_ffffn),
      call("by", 3n),
      call("growAndTrap", 40n),
      call("size", 0n),
      call("run", 1n),
      call("by", 1n),
      call("touch", 0n),
    ];
  });
  const statuses = handles.map((handle) => results.status(handle));
  const initial = statuses[1]?.code as bigint;
  assert.deepEqual(
    statuses.map(({ code }) => code),
    [-1n, initial, 0n, initial + 3n, 100n, -1n, 100n],
  );
  assert.deepEqual(
    statuses.map(({ memoryPages }) => memoryPages),
    [initial, initial + 3n, initial + 3n, initial + 3n, 100n, 100n, 100n].map(Number),
  );
  assert.equal(runtime.read([1], 99 * 65536 + 8, 1)[0], (0x1234567890 + 99) & 255);
});

test("a thousand growths that fault do not use up the host's memories", async () => {
  const { results, handles } = await fresh(runtime, (s) => {
    s.put(1, { program: GROW, memoryQuotaPages: quota(40) });
    const first = s.length;
    s.put(1, { start: { entry: "growAndTrap", argument: 8n, gas: 2_000_000 } });
    const got = s.get(1, {
      words: { [abi.GET_PARTS]: abi.PART_GET_STATUS, [abi.GET_STATUS_POINTER]: s.reserve(48) },
    });
    s.loop(first, 1000);
    return got;
  });
  assert.equal(results.value(handles), 0n);
  assert.equal(runtime.inspect([1])?.fault, "unreachable");
});

describe("a fault of the root", () => {
  for (const [name, program, fault] of [
    ["out of gas", "spin", "out-of-gas"],
    ["call depth", "recurse", "call-depth"],
  ] as const) {
    test(`in its first activation is an error of open: ${name}`, async () => {
      await assert.rejects(
        Runtime.open({ root: await guest(program), entry: "run", workers: 1, gasLimit: 500_000_000 }),
        (error: BlockFault) => error instanceof BlockFault && error.facts.fault === fault,
      );
    });
  }

  test("leaves the runtime at the previous block, and the next block works", async () => {
    await fresh(runtime, (s) => s.put(1, { program: TRAP }));
    const { head } = runtime;
    for (const [write, fault, limit] of [
      [(s: Script) => s.trap(), "unreachable", 10_000_000],
      [(s: Script) => s.abort(), "abort", 10_000_000],
      [(s: Script) => s.spin(0), "out-of-gas", 10_000_000],
      [(s: Script) => s.fill(0xfffffff0, 100, 1), "memory-bounds", 10_000_000],
      [(s: Script) => s.spin(0), "out-of-gas", 0],
    ] as const) {
      const script = new Script();
      script.put(1, { drop: true });
      script.put(2, { program: TRAP });
      write(script);
      await assert.rejects(runtime.produce(script.metadata(), { gasLimit: limit }), (error: BlockFault) => {
        assert.equal(error.code, "BLOCK_FAULT");
        assert.equal(error.facts.fault, fault);
        assert.ok(error.message.includes(fault));
        assert.equal(error.facts.gasUsed === limit, fault !== "abort");
        if (fault === "abort") {
          assert.match(error.facts.text as string, /^driver: command ABORT in .*driver\.ts$/);
          assert.ok((error.facts.line as number) > 0 && (error.facts.column as number) > 0);
        }
        return true;
      });
      assert.equal(runtime.head, head);
      assert.deepEqual(runtime.inspect([])?.children, [1]);
    }
    const { block } = await play(runtime, (s) => s.put(2, { program: TRAP }));
    assert.equal(block.parent, head.id);
    assert.deepEqual(runtime.inspect([])?.children, [1, 2]);
  });
});
