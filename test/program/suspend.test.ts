/** Programs that are suspended, and resumed in new instances. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { AdmissionError, admit, type Program } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { AUX_STACK } from "../../runtime/program/layout.ts";
import { FAULT_UNREACHABLE } from "../../syscalls/abi.ts";
import { build, type Spec } from "./build.ts";
import { type Image, Machine, type Outcome } from "./harness.ts";
import { SUSPENDING_FAMILIES } from "./hostile.ts";

const { I32, I64, F64, V128, FUNCREF } = op;
const RET = ["stillpoint", "ret", [I64], [I64]] as const;
const SNAPSHOT = ["stillpoint", "snapshot", [I32], [I32]] as const;

/** What the parent answers to a code. */
const answer = (code: bigint) => BigInt.asIntN(64, code * 0x1234_5678_9abc_def1n + 99n);

/**
 * main(n) calls, n times, through a table, a function that calls another, which suspends; all of them
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
const I64_EQZ = 0x50;
const I64_MUL = 0x7e;
const F64_REINTERPRET = 0xbf;
const I64_REINTERPRET = 0xbd;

/** The hash of the code, or why there is none. */
function verdictOn(bytes: Uint8Array): string {
  try {
    return createHash("sha256").update(admit(bytes).code).digest("hex");
  } catch (error) {
    return (error as Error).message;
  }
}

if (!isMainThread && "verdictOn" in workerData) {
  parentPort?.postMessage(verdictOn(workerData.verdictOn));
} else if (!isMainThread) {
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
    test(`stopped in nested and indirect calls, a program continues in ${how}, bit by bit`, async () => {
      const program = admit(nested());
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

  test("results and gas are the same whichever way it continued", () => {
    assert.equal(results.length, HOW.length);
    assert.equal(new Set(results).size, 1);
  });

  test("an image at rest holds the program's globals only, and a stack of a few bytes", async () => {
    const machine = new Machine(admit(nested()));
    machine.run("main", 1n);
    const image = machine.image();
    assert.equal(image.globals.length, 8);
    assert.deepEqual(machine.scan(), [0]);
    assert.ok(image.position - AUX_STACK < 300);
  });

  test("suspending and going on cost no gas of their own", async () => {
    const program = admit(nested());
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
    const machine = new Machine(admit(bytes));
    assert.ok(machine.run("main").standing);
    assert.equal(machine.resume(machine.image(), 123n).result, 123n);
  });

  test("a start function runs once, on its own, and not again when the program continues", async () => {
    const program = admit(
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
    const machine = new Machine(admit(bytes));
    machine.run("main");
    assert.equal(machine.resume(machine.image(), 0n).fault, FAULT_UNREACHABLE);
  });

  test("a program without a memory can suspend", async () => {
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
    const machine = new Machine(admit(bytes));
    assert.ok(machine.run("main").standing);
    assert.equal(machine.resume(machine.image(), -5n).result, -5n);
  });

  test("references are rejected where a frame would have to keep them, and nowhere else", () => {
    const ret = (code: Code) => {
      code.get(0);
      code.index(op.CALL, 0);
    };
    const entry = { parameters: [I64], results: [I64], export: "main" };
    const rejected = build({ imports: [RET], functions: [{ ...entry, locals: [FUNCREF], code: ret }] });
    assert.throws(
      () => admit(rejected),
      (error: unknown) => error instanceof AdmissionError && error.reason === "suspending-references",
    );
    const elsewhere = { locals: [FUNCREF], code: () => {} };
    const admitted = build({ imports: [RET], functions: [{ ...entry, code: ret }, elsewhere] });
    assert.ok(new Machine(admit(admitted)).run("main").standing);
  });

  test("the same bytes come out each time, whatever was admitted before", () => {
    const one = admit(nested());
    admit(nested({ globals: [{ type: I64, initial: (code) => code.i64(6n) }] }));
    assert.deepEqual(admit(nested()).code, one.code);
  });

  /** f(n): n = 0 ? ret(7) : f(n - 1) * 3 + n, where n waits on the operand stack or in the local. */
  const recursive = (waits: boolean) =>
    build({
      imports: [RET],
      functions: [
        {
          parameters: [I64],
          results: [I64],
          export: "main",
          code: (code) => {
            if (waits) code.get(0);
            code.get(0);
            code.op(I64_EQZ);
            code.open(op.IF, I64);
            code.i64(7n);
            code.index(op.CALL, 0);
            code.op(op.ELSE);
            code.get(0);
            code.i64(1n);
            code.op(op.I64_SUB);
            code.index(op.CALL, 1);
            code.i64(3n);
            code.op(I64_MUL);
            code.end();
            if (!waits) code.get(0);
            code.op(op.I64_ADD);
          },
        },
      ],
    });

  for (const waits of [true, false]) {
    const where = waits ? "on the operand stack" : "in a local";
    test(`a thousand frames come back, each with its value ${where}`, () => {
      const machine = new Machine(admit(recursive(waits)));
      assert.ok(machine.run("main", 1000n).standing);
      let wanted = 5n;
      for (let n = 1n; n <= 1000n; n++) wanted = BigInt.asIntN(64, wanted * 3n + n);
      const image = machine.image();
      assert.equal(new Machine(machine.program, undefined, image).resume(image, 5n).result, wanted);
      // Twelve bytes a frame: the value, and the number of the call.
      assert.equal(image.stack.length, 12 * 1001);
    });
  }

  test("a NaN that waits is saved with canonical bits, and a loaded one with its own", () => {
    const DIVIDE = 0xa3;
    const ADD = 0xa0;
    const bytes = build({
      imports: [RET],
      functions: [
        {
          parameters: [I64],
          results: [I64],
          export: "main",
          code: (code) => {
            code.get(0);
            code.op(F64_REINTERPRET);
            code.get(0);
            code.op(F64_REINTERPRET);
            code.op(DIVIDE);
            code.i64(0x7ff0_0000_dead_beefn);
            code.op(F64_REINTERPRET);
            code.i64(1n);
            code.index(op.CALL, 0);
            code.op(F64_REINTERPRET);
            code.op(ADD);
            code.op(ADD);
            code.op(I64_REINTERPRET);
          },
        },
      ],
    });
    const saved = (defect?: "kept-nan") => {
      const machine = new Machine(admit(bytes, defect === undefined ? {} : { defect }));
      assert.ok(machine.run("main", 0n).standing);
      const { stack } = machine.image();
      const view = new DataView(stack.buffer, stack.byteOffset);
      return [view.getBigUint64(0, true), view.getBigUint64(8, true)];
    };
    assert.deepEqual(saved(), [0x7ff8_0000_0000_0000n, 0x7ff0_0000_dead_beefn]);
    assert.notDeepEqual(saved("kept-nan"), saved(), "the planted defect is found");
  });

  test("the verdict on large functions is the same on a small native stack", async () => {
    for (const make of Object.values(SUSPENDING_FAMILIES)) {
      const bytes = make(0.01);
      const verdict = () =>
        new Promise((resolve, reject) => {
          const worker = new Worker(new URL(import.meta.url), {
            workerData: { verdictOn: bytes },
            resourceLimits: { stackSizeMb: 0.5 },
          });
          worker.on("message", resolve);
          worker.on("error", reject);
        });
      assert.equal(await verdict(), verdictOn(bytes));
    }
  });
}
