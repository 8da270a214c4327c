/** Rows of the benchmark "gas" about items of batches, and about instructions. */

import { COST_PAGE_TOUCH } from "../../runtime/kernel/gas.ts";
import type { PutSpec } from "../driver.ts";
import { quota } from "../driver.ts";
import type { Caller, Request } from "./caller.ts";
import { freeModule, growerModule, tinyModule } from "./modules.ts";
import { activation, gasGuest, make, ok, PAGE, type Row } from "./rows.ts";
import { memoryFor, PRIVATE, STATE_BYTES, Steps } from "./steps.ts";

const EMPTY = new Uint8Array(0);
const STATE_PAGES = STATE_BYTES / PAGE;
/** Pays for the page of the inbox and for a few steps: a trap takes all there is. */
const SHORT = COST_PAGE_TOUCH + 300;
const TOUCHED = 8_192;
/** Of 64 KiB. */
const EMPTY_PAGES = 16_383;
const tiny = tinyModule(0);

interface ItemsOf {
  readonly count: number;
  /** Of an item. */
  readonly gas: number;
  readonly entry?: string;
  /** Of the items in turn. */
  readonly steps?: readonly Steps[];
  readonly times?: number;
  readonly quota?: PutSpec;
  /** Before the batch: with the hash of a tiny program at PRIVATE. */
  readonly set?: (caller: Caller) => void;
}

/** Requests that give a batch of items to a child and take it back. */
export function batchOf(
  caller: Caller,
  child: number,
  { count, gas, entry = "item", steps = [] }: ItemsOf,
): Request[] {
  const inputs = steps.map((one) => one.bytes());
  const items = Array.from({ length: count }, (_, i) => ({ input: inputs[i % inputs.length] ?? EMPTY, gas }));
  const batch = { entry, items, gas: count * gas, inbox: STATE_BYTES };
  return [caller.batchRequest(child, batch), caller.getRequest(child, { status: true })];
}

function items(name: string, of: ItemsOf): Row {
  return {
    name,
    programs: [gasGuest(memoryFor(TOUCHED)), tiny],
    open: (caller, [guest, child]) => {
      make(caller, 1, guest!, { memoryQuotaPages: quota(100_000), processQuota: 50_000, heldGas: 1e12 });
      ok(caller.put(1, { ranges: [{ source: child!, target: PRIVATE }] }));
      of.set?.(caller);
      const requests = batchOf(caller, 1, of);
      return () => caller.repeat(requests, of.times ?? 1);
    },
  };
}

const program = PRIVATE;
const START = { entry: "nothing", gas: 30_000 } as const;

/** Batches of so many items that do nothing in a large memory, and STARTs of another child, in turn. */
function ofEmpty(name: string, count: number): Row {
  return {
    name,
    programs: [growerModule(EMPTY_PAGES + 1)],
    open: (caller, [hash]) => {
      for (const child of [1, 2]) make(caller, child, hash!, { memoryQuotaPages: quota(EMPTY_PAGES + 100) });
      caller.repeat(activation(caller, 1, { entry: "grow", argument: BigInt(EMPTY_PAGES), gas: 1e9 }));
      const items = Array.from({ length: count }, () => ({ input: EMPTY, gas: 1_000 }));
      const batch = caller.batchRequest(1, { entry: "nothing", items, gas: 1e6, inbox: 0 });
      const requests = [batch, caller.getRequest(1, { status: true })];
      requests.push(...activation(caller, 2, { entry: "nothing" }));
      return () => caller.repeat(requests, Math.ceil(500 / count));
    },
  };
}

/** The child runs steps that make 1,000 children. */
function withChildren(caller: Caller): void {
  const steps = new Steps(PRIVATE - 8192).put(0, { program }, 1_000);
  ok(caller.put(1, { ranges: [{ source: steps.bytes(), target: steps.base }] }));
  caller.repeat(activation(caller, 1, { entry: "run", argument: BigInt(steps.base) }));
}

export const ITEM_ROWS: readonly Row[] = [
  items("items that return", { count: 20_000, gas: 1_000, entry: "nothing" }),
  items("items that trap", { count: 10_000, gas: SHORT, steps: [new Steps().trap()] }),
  items("items that trap 2,000 calls deep", { count: 200, gas: 50_000, steps: [new Steps().trap(2_000)] }),
  items("items that run out of gas", { count: 10_000, gas: SHORT, steps: [new Steps().spin(1e9)] }),
  items("items that abort", { count: 10_000, gas: 10_000, steps: [new Steps().abort()] }),
  items("items that write 8,192 private pages as they are", {
    count: 10,
    gas: 2e7,
    steps: [new Steps().touch(PRIVATE + PAGE, TOUCHED - 1, 0)],
  }),
  items("items that change 8,192 private pages", {
    count: 10,
    gas: 2e8,
    steps: [new Steps().touch(PRIVATE + PAGE, TOUCHED - 1, 7)],
  }),
  items("items that change 8,192 private pages and abort", {
    count: 10,
    gas: 2e8,
    steps: [new Steps().touch(PRIVATE + PAGE, TOUCHED - 1, 7).abort()],
  }),
  items("items that change 1,024 pages of state and trap", {
    count: 20,
    gas: SHORT + STATE_PAGES * (COST_PAGE_TOUCH + 20),
    steps: [new Steps().touch(0, STATE_PAGES, 7).trap()],
  }),
  items("items that write 1,024 pages of state as they are", {
    count: 20,
    gas: 2e7,
    steps: [new Steps().touch(0, STATE_PAGES, 0)],
  }),
  items("items that change 1,024 pages of state", {
    count: 20,
    gas: 2e8,
    steps: [new Steps().touch(0, STATE_PAGES, 7), new Steps().touch(0, STATE_PAGES, 8)],
  }),
  items("items that start a child each", {
    count: 500,
    gas: 1e6,
    steps: [new Steps().put(0, { program, start: START })],
  }),
  items("an item that makes and starts 2,000 children", {
    count: 1,
    gas: 1e9,
    steps: [new Steps().put(0, { program, start: START }, 2_000)],
  }),
  items("items that look at 1,000 children", {
    count: 20,
    gas: 1e8,
    steps: [new Steps().get(0, { status: true }, 1_000)],
    set: withChildren,
  }),
  items("items that start 1,000 children and abort", {
    count: 10,
    gas: 1e8,
    steps: [new Steps().put(0, { start: START }, 1_000).abort()],
    set: withChildren,
  }),
  ofEmpty("items of a process of 1 GiB that has no pages", 1_000),
  ofEmpty("a batch of one item, in a process of 1 GiB that has no pages", 1),
];

const TIER_UP = "code before tier-up: V8 optimises what turns again, and each function once";

export const INSTRUCTION_ROWS: readonly Row[] = [
  ...(["moves", "constants", "blocks"] as const).map(
    (kind): Row => ({
      name: `instructions without effect: ${kind}`,
      programs: [freeModule(kind)],
      open: (caller, [hash]) => {
        make(caller, 1, hash!);
        const requests = activation(caller, 1, { entry: "run", argument: 2_000n });
        return () => caller.repeat(requests);
      },
    }),
  ),
  {
    name: "20,000 moves between locals, run once",
    documented: TIER_UP,
    programs: Array.from({ length: 12 }, (_, i) => freeModule("moves", 900_000 + 8 * i)),
    open: (caller, hashes) => {
      const turns = hashes.map((hash, i) =>
        activation(caller, make(caller, i, hash), { entry: "run", argument: 20n }),
      );
      return () => caller.repeat(turns.pop()!);
    },
  },
  {
    name: "loads from all over 256 MiB, each of the one before",
    documented:
      "random loads: a miss of the caches, and of the TLB, costs as much as hundreds of instructions",
    programs: [gasGuest(4_096)],
    open: (caller, [hash]) => {
      make(caller, 1, hash!);
      const requests = activation(caller, 1, { entry: "chase", argument: 200_000n });
      return () => caller.repeat(requests);
    },
  },
];
