/**
 * What a unit of each kind of work takes, at its worst content, mostly the caches': operations of the heap
 * and calls of which almost all is that kind.
 */

import { createHeap, Heap, type Ref, UNIT_BYTES } from "../../runtime/heap/heap.ts";
import { tableGet, tableUpdate } from "../../runtime/heap/table.ts";
import { hashObject } from "../../runtime/image/hash.ts";
import { capturePage, pageEquals, readPage } from "../../runtime/image/memory.ts";
import { loadProcess, Process, publishProcess } from "../../runtime/image/process.ts";
import { admitEntryProgram } from "../../runtime/program/admit.ts";
import { AUX_GROUPS, GROUP_SHIFT } from "../../runtime/program/layout.ts";
import type { Work } from "../../runtime/work.ts";
import { quota } from "../driver.ts";
import { random } from "../kernel/trees.ts";
import { build } from "../program/build.ts";
import { machineOf } from "../program/run.ts";
import type { Caller, Request } from "./caller.ts";
import { batchOf } from "./item-rows.ts";
import { globalsModule, loopsModule, tableModule, tinyModule } from "./modules.ts";
import { activation, fillOwn, gasGuest, make, PAGE, sharePage, stepping } from "./rows.ts";
import { PRIVATE, Steps } from "./steps.ts";

export interface Unit {
  readonly kind: keyof Work;
  /** That a run does. */
  readonly units: number;
  /** Before each run, not timed. */
  readonly prepare?: () => unknown;
  readonly run: () => unknown;
}

const GLOBALS = 2_000;
const PAGES = 16_384;
const BATCH = 5_000;
const CHILDREN = 20_000;
/** Objects whose hashes are timed in a run. */
const HASHED_PAGES = 2_000;
const HASHED_TABLES = 5_000;
/** Of the heap, touched before: memory that the OS hands out again is a row of its own. */
const TOUCHED_BYTES = 2 ** 29;
/** Pages that the merge combines. */
const MERGED = 256;
const BYTES = PAGE * PAGES;
/** Pages of the largest memory, whose marks are looked at. */
const MARKED = 1 << 20;
/** More than a thread keeps instances of. */
const PROGRAMS = 500;

/** The programs that the caller of `callUnits` is opened with. */
export const UNIT_PROGRAMS = [
  ...[gasGuest(), globalsModule(GLOBALS), tableModule(1)],
  ...Array.from({ length: PROGRAMS }, (_, i) => tinyModule(i)),
];

/** Of a program's instance alone. */
export function instanceUnits(): Unit[] {
  const machine = machineOf(build({ memory: [1, 1] }));
  const groups = new Uint8Array(machine.aux.buffer, AUX_GROUPS, MARKED >>> GROUP_SHIFT);
  const run = (): void => {
    groups.fill(1);
    machine.exports.scan(0, MARKED);
  };
  return [{ kind: "marksScanned", units: MARKED, run }];
}

/** Of the heap alone. */
export function heapUnits(): Unit[] {
  const heap = new Heap(createHeap(2 ** 31), 1);
  const next = random(1);
  const bytes = Buffer.alloc(BYTES);
  for (let i = 0; i < BYTES / 4; i++) bytes.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, i * 4);
  heap.bytes.fill(0, heap.top * UNIT_BYTES, heap.top * UNIT_BYTES + TOUCHED_BYTES);
  const indexes = Array.from({ length: PAGES }, (_, i) => i);
  const pages = indexes.map((i) => capturePage(heap, bytes, i * PAGE));
  let root = tableUpdate(heap, 0, indexes, pages, PAGES);
  const process = new Process();
  process.memory = root;
  const records = Array.from({ length: CHILDREN }, () => publishProcess(heap, process.copy()));
  const numbers = new Map(records.map((ref, child) => [child, { ref }]));
  const paths = new Set(records.map((_, child) => `/${child}`));
  const module = loopsModule(1_500);
  const times = (count: number, visit: (at: number) => unknown) => (): void => {
    for (let i = 0; i < count; i++) visit(next(count));
  };
  const unhashed = (count: number, make: (at: number) => Ref) => {
    let made: Ref[] = [];
    return {
      prepare: () => (made = Array.from({ length: count }, (_, i) => make(i))),
      run: () => made.forEach((ref) => void hashObject(heap, ref)),
    };
  };
  hashObject(heap, pages[0] as number);
  return [
    { kind: "nodesVisited", units: 4 * PAGES, run: times(PAGES, (at) => tableGet(heap, root, at)) },
    {
      kind: "nodesMade",
      units: 4 * 2_000,
      run: times(2_000, (at) => {
        root = tableUpdate(heap, root, [at], [pages[next(PAGES)] as number], 1);
      }),
    },
    {
      kind: "recordsRead",
      units: CHILDREN,
      run: times(CHILDREN, (at) => loadProcess(heap, records[at] as number)),
    },
    {
      kind: "recordsMade",
      units: CHILDREN,
      run: times(CHILDREN, () => publishProcess(heap, process.copy())),
    },
    {
      kind: "bytesCompared",
      units: BYTES,
      run: times(PAGES, (at) => pageEquals(heap, pages[at] as number, bytes, at * PAGE)),
    },
    {
      kind: "bytesCopied",
      units: BYTES,
      run: times(PAGES, (at) => readPage(heap, pages[at] as number, bytes, at * PAGE)),
    },
    {
      kind: "bytesHashed",
      units: HASHED_PAGES * PAGE,
      ...unhashed(HASHED_PAGES, (at) => capturePage(heap, bytes, at * PAGE)),
    },
    {
      // Each table is four nodes with an only child.
      kind: "objectsHashed",
      units: 4 * HASHED_TABLES,
      ...unhashed(HASHED_TABLES, (at) => tableUpdate(heap, 0, [at], [pages[0] as number], 1)),
    },
    {
      kind: "childNumbers",
      units: CHILDREN,
      run: () => [...numbers.values()].filter(({ ref }) => ref === 0),
    },
    { kind: "setEntries", units: CHILDREN, run: () => new Set(paths) },
    {
      kind: "bytesAdmitted",
      units: module.length,
      run: () => new WebAssembly.Module(admitEntryProgram(module).code as Uint8Array<ArrayBuffer>),
    },
  ];
}

/** Of calls. */
export function callUnits(caller: Caller): Unit[] {
  const [guest, globals, table] = caller.hashes as [Uint8Array, Uint8Array, Uint8Array];
  const inTurn = [1, 2].flatMap((child) => {
    make(caller, child, globals);
    caller.repeat(activation(caller, child, { entry: "change", argument: BigInt(child) }));
    return activation(caller, child, { entry: "nothing" });
  });
  make(caller, 3, table, { memoryQuotaPages: quota(2) });
  make(caller, 4, guest);
  fillOwn(caller, 0, 3);
  sharePage(caller, 4, 0, PRIVATE, 16);
  // The child changes the pages and so does the caller, elsewhere in each.
  make(caller, 5, guest);
  caller.repeat(stepping(caller, 5, new Steps(PRIVATE - 8192).touch(PAGE, MERGED, 1)));
  for (let i = 1; i <= MERGED; i++) caller.store(i * PAGE + 8, Uint8Array.of(9));
  const merge = caller.getRequest(5, { merge: { address: PAGE, length: MERGED * PAGE } });
  const batching = make(caller, 7, guest, { memoryQuotaPages: quota(1_000) });
  const programs = caller.hashes.slice(3, 3 + PROGRAMS).flatMap((hash, i) => {
    return activation(caller, make(caller, 100 + i, hash), { entry: "nothing", gas: 1e6 });
  });
  const unit = (kind: keyof Work, requests: readonly Request[], times: number, each: number): Unit => {
    return { kind, units: each * times, run: () => caller.repeat(requests, times) };
  };
  return [
    unit("globalBytes", inTurn, 50, 2 * 2 * 16 * GLOBALS),
    // An instance of its own each time, with a memory for the guest and one for the host.
    unit("memories", activation(caller, 3, { entry: "growTrap", gas: 1e6 }), 50, 2),
    unit("instances", programs, 1, PROGRAMS),
    unit("faults", stepping(caller, 4, new Steps(PRIVATE - 8192).trap(), { gas: 1e6 }), 1_000, 1),
    unit("items", batchOf(caller, batching, { count: BATCH, gas: 1e5, entry: "nothing" }), 4, BATCH),
    // Each page is copied and compared as well, which takes as long again.
    unit("bytesMerged", [merge], 4, 4 * MERGED * PAGE),
  ];
}
