/** Faults in COPY, ZERO, MERGE and the memories of children, and that tests find them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Fault, runWith } from "../planted.ts";
import { baseSeed } from "../seed.ts";

const MEMORIES = "kernel/memories-run.ts";
const MERGE = "kernel/merge-gas.test.ts";
const COPY = "kernel/copy-gas.test.ts";

const MERGE_FILE = "runtime/kernel/calls/merge.ts";
const TABLE_FILE = "runtime/heap/table.ts";
const MEMORY_FILE = "runtime/image/memory.ts";

const FAULTS: readonly [what: string, program: string, faults: readonly Fault[]][] = [
  [
    "a memory is written in place when a copy has it",
    MEMORIES,
    [
      {
        file: "runtime/image/process.ts",
        find: "  copy(): Process {\n    this.seal();",
        put: "  copy(): Process {",
      },
    ],
  ],
  [
    "a process is changed that was published",
    MEMORIES,
    [{ file: "runtime/kernel/children.ts", find: " && process.ref === 0)", put: ")" }],
  ],
  [
    "a page that may still change is shared",
    MEMORIES,
    [
      {
        file: "runtime/kernel/calls/copy.ts",
        find: "!(process.edit?.owns(from, page) ?? false)",
        put: "true",
      },
    ],
  ],
  [
    "a node that is written in place keeps the hash of what it had",
    MEMORIES,
    [
      {
        file: TABLE_FILE,
        find: "(words[at + NODE_HASHED] as number) & ~changed;",
        put: "words[at + NODE_HASHED]!;",
      },
    ],
  ],
  [
    "a page that became zero is kept",
    MEMORIES,
    [{ file: MEMORY_FILE, find: "isZero(heap.bytes, pageStart(heap, written)) ? 0", put: "false ? 0" }],
  ],
  [
    "a page that became zero is counted as present",
    MEMORIES,
    [{ file: MEMORY_FILE, find: "(page === 0 ? 0 : 1) - (old", put: "(written === 0 ? 0 : 1) - (old" }],
  ],
  [
    "what is made depends on references",
    MEMORIES,
    [{ file: TABLE_FILE, find: " || (own !== null && next !== 0)", put: "" }],
  ],
  [
    "MERGE charges for equal bytes under other references",
    MEMORIES,
    [{ file: MERGE_FILE, find: "if (pagesEqual(heap, old, now, from, to)) return;", put: "" }],
  ],
  [
    "MERGE walks beyond its range",
    MERGE,
    [
      { file: MERGE_FILE, find: "look, firstPage, firstPage + pages);", put: "look);" },
      {
        file: MERGE_FILE,
        find: "const from = Math.max(",
        put: "if (index < firstPage || index >= firstPage + pages) return;\n    const from = Math.max(",
      },
    ],
  ],
  [
    "MERGE charges when it has looked at everything",
    MERGE,
    [
      { file: MERGE_FILE, find: "    caller.charge(COST_MERGE_PAGE);\n", put: "" },
      {
        file: MERGE_FILE,
        find: "  return changes;\n",
        put: "  caller.charge(changes.length * COST_MERGE_PAGE);\n  return changes;\n",
      },
    ],
  ],
  [
    "each write to a page makes another one",
    COPY,
    [{ file: MEMORY_FILE, find: "let page = this.#ownPages.get(index);", put: "let page: Ref | undefined;" }],
  ],
  [
    "nobody pays for nodes",
    COPY,
    [{ file: TABLE_FILE, find: "  own.pay(unitsOf(nodeBytes(popcount(present))));\n", put: "" }],
  ],
  [
    "a page is paid after it was made",
    COPY,
    [
      { file: MEMORY_FILE, find: "      this.#own.pay(PAGE_UNITS);\n", put: "" },
      {
        file: MEMORY_FILE,
        find: "    this.#pages.clear();\n",
        put: "    this.#pages.clear();\n    this.#own.pay(PAGE_UNITS * indexes.length);\n",
      },
    ],
  ],
];

for (const [what, program, faults] of FAULTS) {
  test(`found: ${what}`, (t) => {
    const args = program === MEMORIES ? [`${baseSeed(t)}`, "20", "30"] : [];
    const { status, output } = runWith(faults, program, args);
    assert.equal(status, 1, output);
    assert.match(output, /Difference|AssertionError|KERNEL_PANIC/);
    assert.doesNotMatch(output, /SyntaxError|ReferenceError|TypeError/);
  });
}
