/** Every trap has its fault code, in every tier. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import initialise from "wabt";
import { admitEntryProgram, type Options } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import { faultOf, learnTexts, trapModule, trapping } from "../../runtime/program/faults.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { AUX_FAULT } from "../../runtime/program/layout.ts";
import * as abi from "../../syscalls/abi.ts";
import { build } from "./build.ts";
import { Machine } from "./harness.ts";
import { Operations } from "./operations.ts";

const { I32, I64, F64 } = op;
const number = (code: Code, opcode: number) => {
  code.i32(1);
  code.i32(0);
  code.op(opcode);
  code.op(op.DROP);
};
const bits = (code: Code, value: bigint, opcode: number) => {
  code.i64(value);
  code.op(0xbf);
  code.op(opcode);
  code.op(op.DROP);
};
const load = (code: Code, opcode: number, address: number, offset = 0) => {
  code.i32(address);
  code.access(opcode, 0, offset);
  code.op(op.DROP);
};
const three = (code: Code, opcode: number, operands: readonly number[], ...immediates: number[]) => {
  for (const operand of operands) code.i32(operand);
  code.op(opcode);
  for (const immediate of immediates) code.u8(immediate);
};
const indirect = (code: Code, element: number) => {
  code.i32(element);
  code.index(op.CALL_INDIRECT, 0); // () -> ()
  code.u32(0);
};

/** Every kind of trap, each as a program's only entry. */
const TRAPS: readonly (readonly [string, number, (code: Code) => void])[] = [
  ["unreachable", abi.FAULT_UNREACHABLE, (code) => code.op(op.UNREACHABLE)],
  ["a load beyond the memory", abi.FAULT_MEMORY_BOUNDS, (code) => load(code, op.I32_LOAD, 65533)],
  ["a load beyond 4 GiB", abi.FAULT_MEMORY_BOUNDS, (code) => load(code, op.I64_LOAD, -1, 0xffff_ffff)],
  ["a vector load beyond the memory", abi.FAULT_MEMORY_BOUNDS, (code) => load(code, op.V128_LOAD, 65521)],
  [
    "a store beyond the memory",
    abi.FAULT_MEMORY_BOUNDS,
    (code) => {
      code.i32(-8);
      code.i64(1n);
      code.access(op.I64_STORE, 0, 0);
    },
  ],
  ["memory.fill beyond", abi.FAULT_MEMORY_BOUNDS, (code) => three(code, op.MEMORY_FILL, [65530, 0, 7], 0)],
  ["memory.copy beyond", abi.FAULT_MEMORY_BOUNDS, (code) => three(code, op.MEMORY_COPY, [0, 65530, 7], 0, 0)],
  ["memory.init beyond", abi.FAULT_MEMORY_BOUNDS, (code) => three(code, op.MEMORY_INIT, [0, 2, 2], 0, 0)],
  [
    "table.get beyond the table",
    abi.FAULT_TABLE_BOUNDS,
    (code) => {
      code.i32(9);
      code.index(op.TABLE_GET, 0);
      code.op(op.DROP);
    },
  ],
  ["call_indirect beyond the table", abi.FAULT_BAD_INDIRECT_CALL, (code) => indirect(code, 9)],
  ["call_indirect of nothing", abi.FAULT_BAD_INDIRECT_CALL, (code) => indirect(code, 1)],
  ["call_indirect of another type", abi.FAULT_BAD_INDIRECT_CALL, (code) => indirect(code, 0)],
  ["i32.div_s by zero", abi.FAULT_DIVISION_BY_ZERO, (code) => number(code, 0x6d)],
  ["i32.rem_u by zero", abi.FAULT_DIVISION_BY_ZERO, (code) => number(code, 0x70)],
  [
    "i64.div_u by zero",
    abi.FAULT_DIVISION_BY_ZERO,
    (code) => {
      code.i64(1n);
      code.i64(0n);
      code.op(0x80);
      code.op(op.DROP);
    },
  ],
  [
    "i64.rem_s by zero",
    abi.FAULT_DIVISION_BY_ZERO,
    (code) => {
      code.i64(1n);
      code.i64(0n);
      code.op(0x81);
      code.op(op.DROP);
    },
  ],
  [
    "i32.div_s overflows",
    abi.FAULT_INTEGER_OVERFLOW,
    (code) => {
      code.i32(-0x8000_0000);
      code.i32(-1);
      code.op(0x6d);
      code.op(op.DROP);
    },
  ],
  [
    "i64.div_s overflows",
    abi.FAULT_INTEGER_OVERFLOW,
    (code) => {
      code.i64(-(1n << 63n));
      code.i64(-1n);
      code.op(0x7f);
      code.op(op.DROP);
    },
  ],
  ["i32.trunc of a NaN", abi.FAULT_BAD_CONVERSION, (code) => bits(code, 0x7ff8n << 48n, 0xaa)],
  ["i64.trunc of infinity", abi.FAULT_BAD_CONVERSION, (code) => bits(code, 0x7ff0n << 48n, 0xb0)],
  ["i32.trunc of too large a number", abi.FAULT_BAD_CONVERSION, (code) => bits(code, 0x47efn << 48n, 0xab)],
  [
    "an endless loop",
    abi.FAULT_OUT_OF_GAS,
    (code) => {
      code.open(op.LOOP);
      code.index(op.BR, 0);
      code.end();
    },
  ],
];

const NO_CHECKS = { index: false, overflow: false };

/** What the engine says of a trap. */
function messageOf(trap: () => void): string {
  try {
    trap();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

function machineOfTrap(trap: (code: Code) => void, options: Options = {}): Machine {
  const bytes = build({
    types: [[[], []]],
    tables: [{ minimum: 2 }],
    elements: [{ offset: 0, functions: [0] }],
    data: [{ offset: null, bytes: Uint8Array.of(1, 2, 3) }],
    functions: [
      {
        parameters: [I64],
        results: [I64],
        locals: [I32, F64],
        export: "main",
        code: (code) => {
          trap(code);
          code.get(0);
        },
      },
      { code: () => {} },
    ],
  });
  return new Machine(admitEntryProgram(bytes, options));
}

const faultOfTrap = (trap: (code: Code) => void): number =>
  machineOfTrap(trap).run("main", 0n, 100_000n).fault;

if (process.argv.includes("--print")) {
  console.log(JSON.stringify(TRAPS.map(([, , trap]) => faultOfTrap(trap))));
} else {
  for (const [title, fault, trap] of TRAPS) {
    test(`${title} is fault ${fault}`, () => assert.equal(faultOfTrap(trap), fault));
  }

  for (const flag of ["--liftoff-only", "--no-liftoff"]) {
    test(`with ${flag} the faults are the same`, () => {
      const { stdout } = spawnSync(process.execPath, [flag, import.meta.filename, "--print"], {
        encoding: "utf8",
      });
      assert.deepEqual(
        JSON.parse(stdout),
        TRAPS.map(([, fault]) => fault),
      );
    });
  }

  test("the module with which an engine is asked is that of its text", async () => {
    const wabt = await initialise();
    const text = readFileSync(new URL("traps.wat", import.meta.url), "utf8");
    const features = { bulk_memory: true, reference_types: true };
    const { buffer } = wabt.parseWat("traps.wat", text, features).toBinary({});
    const names = WebAssembly.Module.exports(new WebAssembly.Module(Buffer.from(buffer)));
    assert.deepEqual(trapModule(), Buffer.from(buffer));
    assert.deepEqual(
      names.map(({ name }) => name),
      Object.keys(trapping()),
    );
  });

  test("the texts of any engine are learned, without the expression that JavaScriptCore adds", () => {
    const other = (text: string) => () => {
      throw new WebAssembly.RuntimeError(`${text} (evaluating 'f()')`);
    };
    const named = Object.keys(trapping()).map((name) => [name, other(`it is ${name}`)] as const);
    const { texts, checks } = learnTexts(Object.fromEntries(named));
    assert.deepEqual(checks, { index: false, overflow: false });
    assert.equal(texts.get("it is null"), abi.FAULT_BAD_INDIRECT_CALL);
    assert.equal(texts.get("it is remainder"), abi.FAULT_DIVISION_BY_ZERO);
    assert.equal(texts.size, named.length);
  });

  test("where one text stands for two faults, instrumented code checks for one of them", () => {
    const traps = trapping() as Record<string, () => void>;
    const { load, overflow } = traps as Record<string, () => void>;
    const { texts, checks } = learnTexts({
      ...traps,
      index: load as () => void,
      large: overflow as () => void,
    });
    assert.deepEqual(checks, { index: true, overflow: true });
    const meant = (trap: string) => texts.get(messageOf(traps[trap] as () => void));
    assert.deepEqual(["load", "overflow"].map(meant), [abi.FAULT_MEMORY_BOUNDS, abi.FAULT_BAD_CONVERSION]);
    // Whoever finds it, all that instructions do stays the same, and so do faults and gas.
    const rounds = [checks, NO_CHECKS].map((checks) => new Operations({ checks }).round(1, 30));
    assert.equal(rounds[0], rounds[1]);
    const found = TRAPS.map(([title, , trap]) => {
      const [own, engines] = [checks, NO_CHECKS].map((checks) => {
        const machine = machineOfTrap(trap, { checks });
        const outcome = machine.run("main", 0n, 100_000n);
        return { outcome, injected: machine.words.getInt32(AUX_FAULT, true) };
      });
      assert.deepEqual(own?.outcome, engines?.outcome, title);
      return own?.injected === engines?.injected ? null : title;
    });
    assert.deepEqual(
      found.filter((title) => title !== null),
      ["call_indirect beyond the table", "i32.div_s overflows", "i64.div_s overflows"],
    );
  });

  test("an engine that does not tell faults apart is refused, and one that does not trap", () => {
    const traps = trapping();
    for (const name of Object.keys(traps)) {
      const quiet = { ...traps, [name]: () => {} };
      assert.throws(() => learnTexts(quiet), {
        code: "ENGINE_UNSUPPORTED",
        facts: { trap: name, text: null },
      });
    }
    const blurred = { ...traps, overflow: traps.divide as () => void };
    assert.throws(() => learnTexts(blurred), { code: "ENGINE_UNSUPPORTED" });
  });

  test("an injected fault wins over the engine's text", () => {
    const aux = new Int32Array(16);
    aux[AUX_FAULT >> 2] = abi.FAULT_CALL_DEPTH;
    assert.equal(faultOf(new WebAssembly.RuntimeError("unreachable"), aux), abi.FAULT_CALL_DEPTH);
  });

  test("what is not known is the host's: null", () => {
    const aux = new Int32Array(16);
    for (const error of [
      new RangeError("Maximum call stack size exceeded"),
      new WebAssembly.CompileError("unreachable"),
      new WebAssembly.RuntimeError("something new"),
      new Error("unreachable"),
      "unreachable",
      null,
    ]) {
      assert.equal(faultOf(error, aux), null);
    }
  });
}
