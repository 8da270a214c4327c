import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reason } from "../../runtime/program/admission-error.ts";
import { AdmissionError, admit, admitEntryProgram } from "../../runtime/program/admit.ts";
import type { Code } from "../../runtime/program/code.ts";
import * as op from "../../runtime/program/opcodes.ts";
import { build, entry, HEADER, join, type Spec, section } from "./build.ts";

const { I32, I64, F64, FUNCREF } = op;
const raw =
  (...bytes: number[]) =>
  (code: Code) =>
    code.bytes(Uint8Array.from(bytes));

/** A module whose first function is fine and whose second has this code. */
function second(code: (code: Code) => void, rest: Spec = {}): Uint8Array {
  return build({ tables: [{ minimum: 1 }], ...rest, functions: [{ code: () => {} }, { code }] });
}

function sections(...parts: Uint8Array[]): Uint8Array {
  return join(HEADER, ...parts);
}

const importing = (module: string, name: string, parameters: number[], results: number[]) =>
  build({ imports: [[module, name, parameters, results]] });

/** What is wrong, the module, the reason, the function, and the bytes that stand at the reported offset. */
const CASES: readonly (readonly [string, Uint8Array, Reason, number | null, readonly number[]])[] = [
  ["no header", Uint8Array.of(1, 2, 3), "malformed", null, [1, 2, 3]],
  ["a component", join(Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0)), "malformed", null, [0x0d]],
  [
    "sections out of order",
    sections(
      section(3, (o) => o.u32(0)),
      section(1, (o) => o.u32(0)),
    ),
    "malformed",
    null,
    [1, 1, 0],
  ],
  [
    "a section twice",
    sections(
      section(1, (o) => o.u32(0)),
      section(1, (o) => o.u32(0)),
    ),
    "malformed",
    null,
    [1, 1, 0],
  ],
  ["a section longer than its content", sections(section(1, raw(0, 0))), "malformed", null, [0]],
  ["a section longer than the file", sections(Uint8Array.of(1, 9, 0)), "malformed", null, [0]],
  [
    "functions without code",
    build({ types: [[[], []]] }).length
      ? sections(section(1, raw(1, 0x60, 0, 0)), section(3, raw(1, 0)))
      : HEADER,
    "malformed",
    null,
    [],
  ],
  [
    "a number of six bytes",
    sections(section(1, raw(0x80, 0x80, 0x80, 0x80, 0x80, 0))),
    "malformed",
    null,
    [0x80, 0x80],
  ],
  ["tags", sections(section(13, raw(0))), "exceptions", null, [13]],
  ["struct types", sections(section(1, raw(1, 0x5f, 0))), "gc", null, [0x5f]],
  [
    "a typed reference as parameter",
    sections(section(1, raw(1, 0x60, 1, 0x64, 0x70, 0))),
    "gc",
    null,
    [0x64],
  ],
  [
    "an unknown function",
    importing("env", "print", [I32], []),
    "unknown-import",
    null,
    [3, 0x65, 0x6e, 0x76],
  ],
  ["put of another module", importing("env", "put", [I32, I32], [I32]), "unknown-import", null, [3, 0x65]],
  ["put with another type", importing("stillpoint", "put", [I32], [I32]), "import-type", null, [0]],
  ["constructor as an import", importing("stillpoint", "constructor", [], []), "unknown-import", null, [10]],
  [
    "an imported memory",
    sections(section(2, raw(1, 1, 0x6d, 1, 0x6d, 2, 0, 1))),
    "unknown-import",
    null,
    [1, 0x6d],
  ],
  [
    "an imported global",
    sections(section(2, raw(1, 1, 0x6d, 1, 0x6d, 3, 0x7f, 0))),
    "unknown-import",
    null,
    [1, 0x6d],
  ],
  ["two memories", sections(section(5, raw(2, 0, 1, 0, 1))), "multiple-memories", null, [2]],
  ["a shared memory", sections(section(5, raw(1, 3, 1, 1))), "shared-memory", null, [3]],
  ["a memory of 64-bit addresses", sections(section(5, raw(1, 4, 1))), "memory64", null, [4]],
  ["small memory pages", sections(section(5, raw(1, 8, 1, 0))), "custom-page-size", null, [8]],
  ["a table of 64-bit indices", sections(section(4, raw(1, 0x70, 4, 1))), "memory64", null, [4]],
  ["a huge table", build({ tables: [{ minimum: 100_001 }] }), "table-size", null, [0]],
  ["a huge memory", build({ memory: [65537] }), "memory-size", null, [0]],
  [
    "a mutable reference",
    sections(section(6, raw(1, 0x70, 1, 0xd0, 0x70, 0x0b))),
    "mutable-reference-global",
    null,
    [0x70, 1],
  ],
  [
    "a global computed",
    build({ globals: [{ type: I32, initial: raw(0x41, 1, 0x41, 1, 0x6a) }] }),
    "constant-expression",
    null,
    [0x41, 1, 0x6a],
  ],
  [
    "a global of another",
    sections(section(6, raw(2, 0x7f, 0, 0x41, 0, 0x0b, 0x7f, 0, 0x23, 0, 0x0b))),
    "extended-constants",
    null,
    [0x23],
  ],
  [
    "data outside of the memory",
    build({ data: [{ offset: 65535, bytes: Uint8Array.of(1, 2) }] }),
    "data-out-of-bounds",
    null,
    [0, 0x41],
  ],
  [
    "data without a memory",
    build({ memory: null, data: [{ offset: 0, bytes: Uint8Array.of(1) }] }),
    "bad-index",
    null,
    [0x41],
  ],
  [
    "elements outside of the table",
    build({
      tables: [{ minimum: 1 }],
      elements: [{ offset: 1, functions: [0] }],
      functions: [{ code: () => {} }],
    }),
    "elements-out-of-bounds",
    null,
    [0, 0x41, 1],
  ],
  [
    "an export twice",
    build({
      exports: [
        ["m", 2, 0],
        ["m", 2, 0],
      ],
    }),
    "duplicate-export",
    null,
    [1, 0x6d],
  ],
  ["an export of nothing", build({ exports: [["f", 0, 3]] }), "bad-index", null, [0, 3]],
  [
    "a name that is no UTF-8",
    sections(section(5, raw(1, 0, 1)), section(7, raw(1, 2, 0xc3, 0x28, 2, 0))),
    "bad-utf8",
    null,
    [0xc3],
  ],
  ["a long name", build({ exports: [["x".repeat(1001), 2, 0]] }), "name-length", null, [0xe9, 7]],
  [
    "a start function with a result",
    build({ functions: [{ results: [I32], code: (c) => c.i32(0) }], start: 0 }),
    "type-mismatch",
    null,
    [0],
  ],

  ["an atomic load", second(raw(0x41, 0, 0xfe, 0x10, 2, 0, 0x1a)), "threads", 1, [0xfe, 0x10]],
  ["relaxed SIMD", second(raw(0xfd, 0x80, 0x02)), "relaxed-simd", 1, [0xfd, 0x80, 0x02]],
  ["no SIMD instruction", second(raw(0xfd, 0x9a, 0x01)), "unknown-opcode", 1, [0xfd, 0x9a, 0x01]],
  ["try", second(raw(0x06, 0x40, 0x0b)), "exceptions", 1, [0x06]],
  ["throw", second(raw(0x08, 0)), "exceptions", 1, [0x08]],
  ["try_table", second(raw(0x1f, 0x40, 0, 0x0b)), "exceptions", 1, [0x1f]],
  ["a tail call", second(raw(0x12, 0)), "tail-calls", 1, [0x12]],
  ["call_ref", second(raw(0x14, 0)), "gc", 1, [0x14]],
  ["struct.new", second(raw(0xfb, 0, 0)), "gc", 1, [0xfb]],
  ["128-bit addition", second(raw(0xfc, 19)), "wide-arithmetic", 1, [0xfc, 19]],
  [
    "data.drop",
    second(raw(0xfc, 9, 0), { data: [{ offset: null, bytes: Uint8Array.of(1) }] }),
    "segment-drop",
    1,
    [0xfc, 9],
  ],
  ["elem.drop", second(raw(0xfc, 13, 0)), "segment-drop", 1, [0xfc, 13]],
  ["table.set", second(raw(0x41, 0, 0xd0, 0x70, 0x26, 0)), "table-mutation", 1, [0x26]],
  ["table.init", second(raw(0xfc, 12, 0, 0)), "table-mutation", 1, [0xfc, 12]],
  ["table.copy", second(raw(0xfc, 14, 0, 0)), "table-mutation", 1, [0xfc, 14]],
  ["table.grow", second(raw(0xfc, 15, 0)), "table-mutation", 1, [0xfc, 15]],
  ["table.fill", second(raw(0xfc, 17, 0)), "table-mutation", 1, [0xfc, 17]],
  ["no instruction", second(raw(0x27)), "unknown-opcode", 1, [0x27]],
  [
    "an access to a second memory",
    second(raw(0x41, 0, 0x28, 0x42, 1, 0, 0x1a)),
    "multiple-memories",
    1,
    [0x42, 1],
  ],
  ["memory.size of a second memory", second(raw(0x3f, 1, 0x1a)), "multiple-memories", 1, [1, 0x1a]],
  [
    "a load without a memory",
    second(raw(0x41, 0, 0x28, 2, 0, 0x1a), { memory: null }),
    "bad-index",
    1,
    [2, 0],
  ],
  ["too large an alignment", second(raw(0x41, 0, 0x28, 3, 0, 0x1a)), "bad-alignment", 1, [3, 0]],
  [
    "a lane that is not there",
    second(raw(0xfd, 12, ...new Array(16).fill(0), 0xfd, 21, 16, 0x1a)),
    "bad-index",
    1,
    [16, 0x1a],
  ],
  ["an operand missing", second(raw(0x6a)), "type-mismatch", 1, [0x6a]],
  ["an operand of another type", second(raw(0x41, 0, 0x42, 0, 0x6a, 0x1a)), "type-mismatch", 1, [0x6a]],
  ["an operand left over", second(raw(0x41, 0)), "type-mismatch", 1, [0x0b]],
  [
    "an if without else that returns",
    second(raw(0x41, 0, 0x04, 0x7f, 0x41, 0, 0x0b, 0x1a)),
    "type-mismatch",
    1,
    [0x0b, 0x1a],
  ],
  ["else without if", second(raw(0x02, 0x40, 0x05, 0x0b)), "malformed", 1, [0x05]],
  ["a label that is not there", second(raw(0x0c, 2)), "bad-index", 1, [2]],
  ["a local that is not there", second(raw(0x20, 0, 0x1a)), "bad-index", 1, [0, 0x1a]],
  ["a global that is not there", second(raw(0x23, 7, 0x1a)), "bad-index", 1, [7, 0x1a]],
  [
    "writing a constant",
    second(raw(0x41, 0, 0x24, 0), { globals: [{ type: I32, mutable: false, initial: raw(0x41, 0) }] }),
    "immutable-global",
    1,
    [0, 0x0b],
  ],
  [
    "a reference to a function that is not declared",
    second(raw(0xd2, 0, 0x1a)),
    "undeclared-reference",
    1,
    [0, 0x1a],
  ],
  [
    "memory.init without a data count",
    sections(
      section(1, raw(1, 0x60, 0, 0)),
      section(3, raw(1, 0)),
      section(5, raw(1, 0, 1)),
      section(10, raw(1, 12, 0, 0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 8, 0, 0, 0x0b)),
    ),
    "malformed",
    0,
    [0, 0, 0x0b],
  ],
  [
    "too many locals",
    build({ functions: [{ locals: new Array(5001).fill(I64), code: () => {} }] }),
    "local-count",
    0,
    [0x89, 0x27],
  ],
  [
    "blocks nested too deep",
    build({
      functions: [
        {
          code: (c) => {
            for (let i = 0; i < 1001; i++) c.open(op.BLOCK);
            for (let i = 0; i < 1001; i++) c.end();
          },
        },
      ],
    }),
    "nesting-depth",
    0,
    [2, 0x40],
  ],
  [
    "too many operands",
    build({
      functions: [
        {
          code: (c) => {
            for (let i = 0; i < 5001; i++) c.i32(0);
            for (let i = 0; i < 5001; i++) c.op(op.DROP);
          },
        },
      ],
    }),
    "operand-height",
    0,
    [0x41, 0, 0x1a],
  ],
  [
    "too large a branch table",
    build({
      functions: [
        {
          code: (c) => {
            c.i32(0);
            c.op(op.BR_TABLE);
            c.u32(10_001);
            for (let i = 0; i < 10_002; i++) c.u32(0);
          },
        },
      ],
    }),
    "branch-table-size",
    0,
    [0x91, 0x4e],
  ],
  [
    "too large a function",
    build({ functions: [{ code: (c) => c.bytes(new Uint8Array(1 << 20).fill(op.NOP)) }] }),
    "function-size",
    0,
    [],
  ],
  [
    "too many parameters",
    build({ types: [[new Array(501).fill(F64), []]] }),
    "parameter-count",
    null,
    [0xf5, 3],
  ],
  ["too many results", build({ types: [[[], new Array(501).fill(F64)]] }), "result-count", null, [0xf5, 3]],
  [
    "too many types",
    sections(
      section(1, (o) => {
        o.u32(10_001);
        for (let i = 0; i < 10_001; i++) raw(0x60, 0, 0)(o);
      }),
    ),
    "type-count",
    null,
    [0x91, 0x4e],
  ],
  [
    "too many globals",
    build({ globals: new Array(2001).fill({ type: I32, initial: raw(0x41, 0) }) }),
    "global-count",
    null,
    [0xd1, 0x0f],
  ],
  [
    "too many tables",
    build({ tables: new Array(101).fill({ element: FUNCREF, minimum: 0 }) }),
    "table-count",
    null,
    [101],
  ],
  [
    "too many exports",
    build({ exports: Array.from({ length: 10_001 }, (_, i) => [`${i}`, 2, 0] as const) }),
    "export-count",
    null,
    [0x91, 0x4e],
  ],
  [
    "too many segments",
    build({ data: new Array(10_001).fill({ offset: null, bytes: new Uint8Array() }) }),
    "segment-count",
    null,
    [0x91, 0x4e],
  ],
  [
    "too many imports",
    build({ imports: new Array(101).fill(["stillpoint", "get", [I32, I32], [I32]]) }),
    "import-count",
    null,
    [10],
  ],
  ["a chain of calls that is too deep", deepChain(), "call-depth", 0, []],
  ["a program that is too large", new Uint8Array((16 << 20) + 1), "program-size", null, []],
];

/** Functions with large frames that call one another in a row. */
function deepChain(): Uint8Array {
  const count = 60;
  return build({
    functions: Array.from({ length: count }, (_, index) => ({
      parameters: [I64],
      results: [I64],
      locals: new Array(4000).fill(I64),
      ...(index === 0 ? { export: "main" } : {}),
      code: (code: Code) => {
        code.get(0);
        if (index + 1 < count) code.index(op.CALL, index + 1);
      },
    })),
  });
}

for (const [title, bytes, reason, functionIndex, found] of CASES) {
  test(`${title}: ${reason}`, async () => {
    const check = (error: unknown) => {
      assert.ok(error instanceof AdmissionError, `${error}`);
      assert.equal(error.reason, reason, error.message);
      assert.equal(error.functionIndex, functionIndex);
      assert.deepEqual(
        [...bytes.subarray(error.offset, error.offset + found.length)],
        [...found],
        error.message,
      );
      assert.equal(error.code, "E_BAD_PROGRAM");
      return true;
    };
    assert.throws(() => admitEntryProgram(bytes), check);
    await assert.rejects(admit(bytes), check);
  });
}

test("a program installed at run time may not stand still", () => {
  const bytes = entry((code) => code.get(0), [], {});
  admitEntryProgram(bytes);
  const suspending = build({ imports: [["stillpoint", "ret", [I64], [I64]]] });
  assert.throws(() => admitEntryProgram(suspending), { reason: "may-not-suspend", functionIndex: null });
});

test("the first problem in file order is reported", () => {
  const bytes = build({
    functions: [{ code: raw(0x06, 0x40, 0x0b) }, { code: raw(0xfe, 0, 0) }],
    data: [{ offset: 70000, bytes: Uint8Array.of(1) }],
  });
  assert.throws(() => admitEntryProgram(bytes), { reason: "exceptions", functionIndex: 0 });
});

test("truncated at every byte, a module is rejected, never anything else", () => {
  const bytes = entry((code) => code.get(0), [I32], {
    functions: [{ code: () => {} }],
    data: [{ offset: 0, bytes: Uint8Array.of(1, 2, 3) }],
    tables: [{ minimum: 1 }],
    elements: [{ offset: 0, functions: [0] }],
  });
  for (let length = 0; length < bytes.length; length++) {
    if (WebAssembly.validate(bytes.slice(0, length) as BufferSource)) continue;
    assert.throws(() => admitEntryProgram(bytes.subarray(0, length)), AdmissionError, `${length} bytes`);
  }
});

test("custom sections, wherever they stand, are dropped", () => {
  const bytes = entry((code) => code.get(0));
  const custom = section(0, (out) => {
    out.name("name");
    out.bytes(Uint8Array.of(9, 9, 9));
  });
  const program = admitEntryProgram(join(bytes, custom));
  assert.deepEqual(program.code, admitEntryProgram(bytes).code);
});

test("a function whose instrumented form would not fit the engine is rejected, not a host error", () => {
  const loops = (code: Code) => {
    for (let count = 0; count < 340_000; count++) {
      code.open(op.LOOP);
      code.end();
    }
  };
  assert.throws(() => admitEntryProgram(build({ functions: [{ code: () => {} }, { code: loops }] })), {
    reason: "function-size",
    functionIndex: 1,
  });
});

test("expressions too deep for binaryen are rejected in programs that stand still, and only there", async () => {
  const deep = (imports: Spec["imports"]) =>
    build({
      imports: imports ?? [],
      functions: [
        {
          parameters: [I64],
          results: [I64],
          code: (code) => {
            code.get(0);
            for (let count = 0; count < 2000; count++) {
              code.get(0);
              code.op(op.I64_ADD);
            }
          },
        },
      ],
    });
  await assert.rejects(admit(deep([["stillpoint", "ret", [I64], [I64]]])), {
    reason: "expression-depth",
    functionIndex: 1,
  });
  await admit(deep([]));
});
