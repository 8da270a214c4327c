/** What is not admitted, with reason, function and offset. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { AdmissionError, admit, admitEntryProgram } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import { Code } from "../../runtime/program/instrument/code.ts";
import { build, entry, HEADER, join, type Spec, section } from "./build.ts";
import { type Case, raw, sections, testRejections } from "./rejected.ts";

const { I32, I64 } = op;

/** A module whose first function is fine and whose second has this code. */
function second(code: (code: Code) => void, rest: Spec = {}): Uint8Array {
  return build({ tables: [{ minimum: 1 }], ...rest, functions: [{ code: () => {} }, { code }] });
}

const importing = (module: string, name: string, parameters: number[], results: number[]) =>
  build({ imports: [[module, name, parameters, results]] });

const CASES: readonly Case[] = [
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
  ["a huge table", build({ tables: [{ minimum: 10_001 }] }), "table-size", null, [0]],
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
    "extended-constants",
    null,
    [0x41, 1, 0x6a],
  ],
  [
    "a global of two constants",
    build({ globals: [{ type: I32, initial: raw(0x41, 1, 0x41, 2) }] }),
    "constant-expression",
    null,
    [0x41, 2],
  ],
  [
    "a global computed from other types",
    build({ globals: [{ type: I32, initial: raw(0x41, 1, 0x42, 2, 0x6a) }] }),
    "constant-expression",
    null,
    [0x42, 2, 0x6a],
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
];

testRejections(CASES);

test("a program installed at run time may not suspend", () => {
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

/** A module whose second function is bad, with a custom section "name" of these contents behind it. */
function named(write: (out: Code) => void): Uint8Array {
  const names = section(0, (out) => {
    out.name("name");
    write(out);
  });
  return join(second(raw(0x12, 0)), names);
}

/** The part of the section "name" that names functions. */
const functionNames = (out: Code, names: readonly (readonly [number, string])[]) => {
  const list = new Code();
  list.u32(names.length);
  for (const [index, name] of names) {
    list.u32(index);
    list.name(name);
  }
  out.bytes(Uint8Array.of(0, 2, 1, 0x6d, 1)); // the module's own name, then the functions'
  out.sized(list);
};

test("the message names the function if the module does", async () => {
  const message = (bytes: Uint8Array): string => {
    try {
      admitEntryProgram(bytes);
    } catch (error) {
      assert.ok(error instanceof AdmissionError);
      assert.deepEqual([error.reason, error.functionIndex], ["tail-calls", 1]);
      return error.message;
    }
    return "";
  };
  const bytes = named((out) =>
    functionNames(out, [
      [0, "first"],
      [1, "src/index/second"],
    ]),
  );
  assert.match(message(bytes), /in function 1 "src\/index\/second", at byte \d+\)$/);
  assert.throws(() => admit(bytes), { message: message(bytes) });
  const strange = named((out) => functionNames(out, [[1, `a\n\u202e${"b".repeat(500)}`]]));
  assert.match(message(strange), /in function 1 "a b{98}…", at byte/);
  // Absent, of others, or damaged.
  for (const write of [
    () => {},
    (out: Code) => functionNames(out, [[0, "first"]]),
    (out: Code) => functionNames(out, [[1, ""]]),
    (out: Code) => out.bytes(Uint8Array.of(1, 100, 1, 1)),
    (out: Code) => out.bytes(Uint8Array.of(1, 4, 1, 1, 1, 0xff)),
  ]) {
    assert.match(message(named(write)), /in function 1, at byte/);
  }
});
