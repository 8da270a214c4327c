/** Programs that stand still, carried on in new instances. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { AdmissionError, admit, type Program } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { AUX_STACK } from "../../runtime/program/layout.ts";
import { FAULT_UNREACHABLE } from "../../syscalls/abi.ts";
import { build, type Spec } from "./build.ts";
import { type Image, Machine, type Outcome } from "./harness.ts";

const { I32, I64, F64, V128, FUNCREF } = op;
const RET = ["stillpoint", "ret", [I64], [I64]] as const;
const SNAPSHOT = ["stillpoint", "snapshot", [I32], [I32]] as const;

/** What the parent answers to a code. */
const answer = (code: bigint) => BigInt.asIntN(64, code * 0x1234_5678_9abc_def1n + 99n);

/**
 * main(n) calls, n times, through a table, a function that calls another, which stands still; all of them
 * hold locals of several types over it, a NaN with a payload and a vector among them, and a global counts.
 */
function nested(rest: Spec = {}): Uint8Array {
  const middle = (code: Code) => {
    code.i64(0x7ff4_0000_0000_0abcn);
    code.op(0xbf);
    code.set(1);
    code.get(0);
    code.op(op.PREFIX_FD + 18); // i64x2.splat
    code.set(2);
    code.get(0);
    code.get(0);
    code.index(op.CALL, 3);
    code.op(op.I64_ADD);
    code.get(1);
    code.op(0xbd);
    code.op(0x85); // i64.xor
    code.get(2);
    code.op(op.PREFIX_FD + 29); // i64x2.extract_lane
    code.u8(1);
    code.op(op.I64_ADD);
  };
  const deepest = (code: Code) => {
    code.index(op.GLOBAL_GET, 0);
    code.i64(1n);
    code.op(op.I64_ADD);
    code.index(op.GLOBAL_SET, 0);
    code.i32(64);
    code.get(0);
    code.access(op.I64_STORE, 0, 0);
    code.get(0);
    code.index(op.CALL, 0);
    code.index(op.GLOBAL_GET, 0);
    code.op(op.I64_ADD);
  };
  const main = (code: Code) => {
    code.open(op.LOOP);
    code.get(1);
    code.i64(31n);
    code.op(0x7e);
    code.get(0);
    code.i32(1);
    code.index(op.CALL_INDIRECT, 0);
    code.u32(0);
    code.op(op.I64_ADD);
    code.set(1);
    code.get(0);
    code.i64(1n);
    code.op(op.I64_SUB);
    code.tee(0);
    code.i64(0n);
    code.op(0x55); // i64.gt_s
    code.index(op.BR_IF, 0);
    code.end();
    code.get(1);
  };
  return build({
    imports: [RET],
    tables: [{ minimum: 2 }],
    elements: [{ offset: 1, functions: [2] }],
    globals: [{ type: I64, initial: (code) => code.i64(5n) }],
    functions: [
      { parameters: [I64], results: [I64], locals: [I64], export: "main", code: main },
      { parameters: [I64], results: [I64], locals: [F64, V128], code: middle },
      { parameters: [I64], results: [I64], code: deepest },
    ],
    ...rest,
  });
}

/** The same module plain, with an import that answers at once. */
function plain(bytes: Uint8Array, argument: bigint): bigint {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), {
    stillpoint: { ret: answer },
  });
  return (instance.exports.main as (argument: bigint) => bigint)(argument);
}

const STOPS = 6n;

if (!isMainThread) {
  const { program, image, code } = workerData as { program: Program; image: Image; code: bigint };
  const machine = new Machine(program, undefined, image);
  const outcome = machine.resume(image, answer(code));
  parentPort?.postMessage({ outcome, image: outcome.standing ? machine.image() : null });
} else {
  const resumeInWorker = (program: Program, image: Image, code: bigint) =>
    new Promise<{ outcome: Outcome; image: Image | null }>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { program, image, code } });
      worker.on("message", resolve);
      worker.on("error", reject);
    });

  const HOW = ["the same instance", "a new instance each time", "a new worker each time"] as const;
  const results: string[] = [];

  for (const how of HOW) {
    test(`stopped in nested and indirect calls, a program goes on in ${how}, bit by bit`, async () => {
      const program = await admit(nested());
      assert.ok(program.suspends);
      let machine = new Machine(program);
      let outcome = machine.run("main", STOPS);
      let image = machine.image();
      const codes: bigint[] = [];
      while (outcome.standing) {
        codes.push(outcome.result);
        if (how === "the same instance") {
          // Publishing takes the marks away, so every activation pays for its pages.
          machine.scan();
          outcome = machine.resume(image, answer(outcome.result));
          if (outcome.standing) image = machine.image();
        } else if (how === "a new instance each time") {
          machine = new Machine(program, undefined, image);
          outcome = machine.resume(image, answer(outcome.result));
          if (outcome.standing) image = machine.image();
        } else {
          const next = await resumeInWorker(program, image, outcome.result);
          outcome = next.outcome;
          image = next.image ?? image;
        }
      }
      assert.deepEqual(codes, [6n, 5n, 4n, 3n, 2n, 1n]);
      assert.equal(outcome.fault, 0);
      assert.equal(outcome.result, plain(nested(), STOPS));
      results.push(`${outcome.result} ${outcome.gas}`);
    });
  }

  test("results and gas are the same whichever way it went on", () => {
    assert.equal(results.length, HOW.length);
    assert.equal(new Set(results).size, 1);
  });

  test("an image at rest holds the program's globals only, and a stack of a few bytes", async () => {
    const machine = new Machine(await admit(nested()));
    machine.run("main", 1n);
    const image = machine.image();
    assert.equal(image.globals.length, 8);
    assert.deepEqual(machine.scan(), [0]);
    assert.ok(image.position - AUX_STACK < 300);
  });

  test("standing still and going on cost no gas of their own", async () => {
    const program = await admit(nested());
    const used = async (stops: bigint) => {
      const machine = new Machine(program);
      let outcome = machine.run("main", stops, 1_000_000n);
      const first = outcome.gas;
      while (outcome.standing) outcome = machine.resume(machine.image(), 0n);
      return { first: 1_000_000n - first, whole: 1_000_000n - outcome.gas };
    };
    const [one, two, three] = await Promise.all([used(1n), used(2n), used(3n)]);
    assert.equal(one.first, two.first);
    assert.equal(two.whole - one.whole, three.whole - two.whole);
  });

  test("SNAPSHOT answers with a length, and code after it runs", async () => {
    const bytes = build({
      imports: [SNAPSHOT],
      functions: [
        {
          parameters: [I64],
          results: [I64],
          export: "main",
          code: (code) => {
            code.i32(64);
            code.index(op.CALL, 0);
            code.op(op.I64_EXTEND_I32_U);
          },
        },
      ],
    });
    const machine = new Machine(await admit(bytes));
    assert.ok(machine.run("main").standing);
    assert.equal(machine.resume(machine.image(), 123n).result, 123n);
  });

  test("a start function runs once, on its own, and not again when the program goes on", async () => {
    const program = await admit(
      nested({
        functions: [
          {
            parameters: [I64],
            results: [I64],
            export: "main",
            code: (code) => {
              code.get(0);
              code.index(op.CALL, 0);
              code.index(op.GLOBAL_GET, 0);
              code.op(op.I64_ADD);
            },
          },
          { parameters: [I64], results: [I64], code: (code) => code.get(0) },
          {
            code: (code) => {
              code.index(op.GLOBAL_GET, 0);
              code.i64(100n);
              code.op(op.I64_ADD);
              code.index(op.GLOBAL_SET, 0);
            },
          },
        ],
        start: 3,
      }),
    );
    assert.ok(program.hasStart);
    const machine = new Machine(program);
    assert.equal(machine.start().fault, 0);
    assert.ok(machine.run("main", 1n).standing);
    const image = machine.image();
    assert.equal(new Machine(program, undefined, image).resume(image, 7n).result, 112n);
  });

  test("a trap after going on is a fault", async () => {
    const bytes = build({
      imports: [RET],
      functions: [
        {
          parameters: [I64],
          results: [I64],
          export: "main",
          code: (code) => {
            code.get(0);
            code.index(op.CALL, 0);
            code.op(op.UNREACHABLE);
          },
        },
      ],
    });
    const machine = new Machine(await admit(bytes));
    machine.run("main");
    assert.equal(machine.resume(machine.image(), 0n).fault, FAULT_UNREACHABLE);
  });

  test("a program without a memory can stand still", async () => {
    const bytes = build({
      imports: [RET],
      memory: null,
      functions: [
        {
          parameters: [I64],
          results: [I64],
          export: "main",
          code: (code) => {
            code.get(0);
            code.index(op.CALL, 0);
          },
        },
      ],
    });
    const machine = new Machine(await admit(bytes));
    assert.ok(machine.run("main").standing);
    assert.equal(machine.resume(machine.image(), -5n).result, -5n);
  });

  test("names that Asyncify would use are the program's to use", async () => {
    const one = { parameters: [I64], results: [I64], code: (code: Code) => code.get(0) };
    const program = await admit(
      build({
        imports: [RET],
        functions: ["asyncify_start_unwind", "start", "0", "memory"].map((name) => ({
          ...one,
          export: name,
        })),
      }),
    );
    assert.deepEqual(program.entries, ["asyncify_start_unwind", "start", "0", "memory"]);
    assert.equal(new Machine(program).run("0", 9n).result, 9n);
  });

  test("references in locals of a program that stands still are rejected before binaryen", async () => {
    const bytes = build({
      imports: [RET],
      functions: [
        { locals: [FUNCREF], code: () => {} },
        { locals: [I32], code: () => {} },
      ],
    });
    await assert.rejects(
      admit(bytes),
      (error) => error instanceof AdmissionError && error.reason === "suspending-references",
    );
  });

  test("Asyncify gives the same bytes each time, whatever ran before", async () => {
    const one = await admit(nested());
    await admit(nested({ globals: [{ type: I64, initial: (code) => code.i64(6n) }] }));
    assert.deepEqual((await admit(nested())).code, one.code);
  });
}
