/** Faults in views, and that a check finds them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Fault, runWith } from "../planted.ts";

const CHECK = "chain/views-check.ts";

const FAULTS: readonly [what: string, fault: Fault][] = [
  [
    "a view can suspend itself",
    { file: "runtime/kernel/activation.ts", find: "!this.starting && !this.isView", put: "!this.starting" },
  ],
  [
    "threads of blocks take views",
    { file: "runtime/worker/board.ts", find: "        !this.#isView(entry) &&\n", put: "" },
  ],
  [
    "the state of a view that waits is garbage",
    { file: "runtime/chain/journal.ts", find: ", ...this.#held]", put: "]" },
  ],
  [
    "the state of a view that has ended is kept",
    { file: "runtime/chain/journal.ts", find: "      this.#held.delete(held);\n", put: "" },
  ],
  [
    "an output is not read where the caller says",
    { file: "runtime/kernel/view.ts", find: "from ?? usual(stateBytes + BOX_BYTES)", put: "null" },
  ],
];

test("the check finds nothing where nothing is wrong", () => {
  const { status, output } = runWith([], CHECK);
  assert.equal(status, 0, output);
});

for (const [what, fault] of FAULTS) {
  test(`found: ${what}`, () => {
    const { status, output } = runWith([fault], CHECK);
    assert.equal(status, 1, output);
    assert.match(output, /AssertionError|KERNEL_PANIC|KernelPanic/);
    assert.doesNotMatch(output, /SyntaxError|ReferenceError/);
  });
}
