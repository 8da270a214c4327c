/**
 * Defects that the fuzzer "gas" must find: for each rule by which gas pays for work, the code without it. See
 * plant.ts for how they get into the runtime. `steps`: those that a short test tries.
 */

import type { Edit } from "./plant.ts";

export interface Canary {
  readonly edits: readonly Edit[];
  readonly steps: readonly string[];
}

/** Visits all children of a process, to take something from each; `runtime`: the way to that folder. */
const walkIn = (runtime: string): string => `
  import { tableDiff as walk } from "${runtime}/heap/table.ts";
  import { loadProcess as look } from "${runtime}/image/process.ts";
  function visitAll(heap: any, process: any): any {
    walk(heap, 0, process.children, (_number: number, _none: number, ref: number) => void look(heap, ref));
    return process;
  }
`;
const IMAGES_END = 'import type { LoadedProgram } from "./program.ts";\n';
const PUT_END = 'import { checkBatch, checkStart, entryOf } from "./start.ts";\n';

export const CANARIES: Readonly<Record<string, Canary>> = {
  "changed pages are captured before they are paid": {
    edits: [
      {
        file: "kernel/slots/slot.ts",
        from: "if (!same && !payer.add(index)) return false;",
        to: "if (!same) payer.add(index);",
      },
    ],
    steps: ["short"],
  },
  "pages are touched for nothing": {
    edits: [
      {
        file: "program/instrument/gas.ts",
        from: "export const PAGE_TOUCH_GAS = 1664;",
        to: "export const PAGE_TOUCH_GAS = 0;",
      },
    ],
    steps: ["batch"],
  },
  "CLONE visits all children": {
    edits: [
      { file: "kernel/calls/put.ts", from: "cloneOf(source)", to: "cloneOf(visitAll(heap, source))" },
      { file: "kernel/calls/put.ts", from: PUT_END, to: PUT_END + walkIn("../..") },
    ],
    steps: ["family", "family", "clone"],
  },
  "a fault visits all children": {
    edits: [
      { file: "kernel/images.ts", from: "withoutGas(back)", to: "withoutGas(visitAll(heap, back))" },
      { file: "kernel/images.ts", from: IMAGES_END, to: IMAGES_END + walkIn("..") },
    ],
    steps: ["family", "fall"],
  },
  "numbers without a child are kept": {
    edits: [
      {
        file: "kernel/children.ts",
        from: "if (before !== null) this.#touched.set(number, child);",
        to: "this.#touched.set(number, child);",
      },
      { file: "kernel/children.ts", from: "this.#known + this.#touched.size", to: "this.#known" },
    ],
    steps: ["absent"],
  },
  "MERGE walks over all changes": {
    edits: [
      {
        file: "kernel/calls/merge.ts",
        from: "tableDiff(heap, before, after, look, firstPage, firstPage + pages);",
        to: `tableDiff(heap, before, after, (i, old, now) => {
          if (i >= firstPage && i < firstPage + pages) look(i, old, now);
        });`,
      },
    ],
    steps: ["merge"],
  },
  "MERGE looks at changed pages for nothing": {
    edits: [{ file: "kernel/calls/merge.ts", from: "caller.charge(COST_MERGE_PAGE);", to: "" }],
    steps: ["merge"],
  },
  "each join of an item copies what it has made": {
    edits: [
      {
        file: "kernel/items/children.ts",
        from: "    return this.#log.length;",
        to: "    work.setEntries += new Set(this.#made).size;\n    return this.#log.length;",
      },
    ],
    steps: ["crowd"],
  },
  "PUT makes pages and nodes for nothing": {
    edits: [
      {
        file: "kernel/calls/copy.ts",
        from: "(units) => caller.charge(COST_HEAP_OBJECT + units * COST_HEAP_UNIT)",
        to: "() => {}",
      },
    ],
    steps: ["copyIn", "zero"],
  },
  "PUT copies pages that it has made for nothing": {
    edits: [{ file: "image/memory.ts", from: "this.#own.pay(0);", to: "" }],
    steps: ["again"],
  },
  "START takes nothing for the pages of the image": {
    edits: [{ file: "kernel/gas.ts", from: "presentPages * COST_START_PAGE + ", to: "" }],
    steps: ["replace", "run"],
  },
  "globals are loaded and saved for nothing": {
    edits: [{ file: "kernel/gas.ts", from: "const globals = globalsLength *", to: "const globals = 0 *" }],
    steps: ["create", "start"],
  },
  "a thread keeps fewer instances than there are sizes of memories": {
    edits: [{ file: "limits.ts", from: "SLOTS_LIMIT = 384;", to: "SLOTS_LIMIT = 8;" }],
    steps: ["sizes"],
  },
  "a copy of a started child is loaded to be joined": {
    edits: [{ file: "kernel/kernel.ts", from: "if (budget === 0) result", to: "if (budget < 0) result" }],
    steps: ["copies"],
  },
  "nodes above changed children are made for nothing": {
    edits: [{ file: "kernel/gas.ts", from: "COST_NODE = 2_432;", to: "COST_NODE = 0;" }],
    steps: ["bushy"],
  },
  "the first growth of an activation costs no more than the next": {
    edits: [{ file: "kernel/gas.ts", from: "COST_GROW_FIRST = 600_000;", to: "COST_GROW_FIRST = 0;" }],
    steps: ["growths"],
  },
  "the first growth does not pay for the memory that is there": {
    edits: [{ file: "kernel/gas.ts", from: "COST_GROW_FIRST_PAGE = 512;", to: "COST_GROW_FIRST_PAGE = 0;" }],
    steps: ["emptiness"],
  },
  "what was written is looked for in all of a memory": {
    edits: [
      {
        file: "kernel/slots/page-marks.ts",
        from: "aux[AUX_GROUPS + firstGroup] = 1;",
        to: "aux.fill(1, AUX_GROUPS, AUX_GROUPS + (1 << 14));",
      },
    ],
    steps: ["emptiness"],
  },
  "a batch compares all pages of state that items touched": {
    edits: [
      {
        file: "kernel/slots/shadow.ts",
        from: "this.#aux[layout.AUX_SHADOW + i] === KEPT",
        to: "this.#aux[layout.AUX_SHADOW + i] !== 0",
      },
    ],
    steps: ["unchanged"],
  },
  "elements of tables are set up for nothing": {
    edits: [{ file: "kernel/gas.ts", from: "tableElements * COST_START_ELEMENT", to: "0 * tableElements" }],
    steps: ["create", "start"],
  },
  "an end takes nothing for changed children": {
    edits: [
      { file: "kernel/changes.ts", from: "for (const { number } of changed) changes.add(number);", to: "" },
    ],
    steps: ["scattered"],
  },
};
