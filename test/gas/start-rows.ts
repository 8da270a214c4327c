/** Rows of the benchmark "gas" about START and the activations that it begins, and about programs. */

import { COST_PAGE_TOUCH, costOfGrowth } from "../../runtime/kernel/gas.ts";
import type { PutSpec } from "../driver.ts";
import { quota } from "../driver.ts";
import type { Caller } from "./caller.ts";
import { globalsModule, growerModule, loopsModule, tableModule, tinyModule } from "./modules.ts";
import {
  activation,
  fillOwn,
  G,
  gasGuest,
  MANY,
  make,
  ok,
  PAGE,
  type Row,
  sharePage,
  stepping,
  touching,
} from "./rows.ts";
import { memoryFor, PRIVATE, Steps } from "./steps.ts";

const tiny = tinyModule(0);

/** Just enough for an activation that grows by a page and traps, which takes all it has. */
const gasToGrow = (memoryPages: number): number => costOfGrowth(1, true, memoryPages) + 2_000;

/** An activation of a child that runs these steps, again and again; of several, one after the other. */
function stepRow(
  name: string,
  pages: number,
  variants: readonly ((steps: Steps) => Steps)[],
  rest: { times?: number; gas?: number; more?: PutSpec; documented?: string } = {},
): Row {
  const { times = 1, gas = G, more = {}, documented } = rest;
  return {
    name,
    ...(documented === undefined ? {} : { documented }),
    programs: [touching(pages)],
    open: (caller, [hash]) => {
      make(caller, 1, hash!, { memoryQuotaPages: quota(memoryFor(pages) + 4), ...more });
      const requests = variants.flatMap((write, i) =>
        stepping(caller, 1, write(new Steps(PRIVATE - (i + 1) * 8192)), { gas }),
      );
      return () => caller.repeat(requests, times);
    },
  };
}

/** Children of several programs or sizes, one after the other. */
function inTurn(
  name: string,
  programs: Row["programs"],
  children: (caller: Caller, hashes: readonly Uint8Array[]) => readonly number[],
  times = 1,
): Row {
  return {
    name,
    programs,
    open: (caller, hashes) => {
      const requests = children(caller, hashes).flatMap((child) =>
        activation(caller, child, { entry: "nothing", gas: 100_000 }),
      );
      return () => caller.repeat(requests, times);
    },
  };
}

/** Installs so many programs in children, as many different ones. */
function installAll(caller: Caller, program: (number: number) => Uint8Array, count: number): number[] {
  return Array.from({ length: count }, (_, child) => {
    ok(caller.put(child, { install: program(child), memoryQuotaPages: quota(200) }));
    return child;
  });
}

/** Children of one program, each of so many pages less than the one before. */
function descending(count: number, step: number): Row {
  const name = `START of ${count} descending sizes of a program in turn, up to ${(count * step) / 16} MiB`;
  return inTurn(name, [growerModule(count * step + 1)], (caller, [hash]) =>
    Array.from({ length: count }, (_, i) => {
      make(caller, i, hash!, { memoryQuotaPages: quota(count * step + 1) });
      caller.repeat(activation(caller, i, { entry: "grow", argument: BigInt((count - i) * step) }));
      return i;
    }),
  );
}

export const START_ROWS: readonly Row[] = [
  inTurn("START of a tiny child", [tiny], (caller, [hash]) => [make(caller, 1, hash!)], 2_000),
  stepRow("START, a page changed", 16, [(s) => s.touch(PRIVATE, 1, 1), (s) => s.touch(PRIVATE, 1, 2)], {
    times: 1_000,
  }),
  stepRow("START of 64 MiB, all pages changed", MANY, [
    (s) => s.touch(PRIVATE, MANY, 1),
    (s) => s.touch(PRIVATE, MANY, 2),
  ]),
  stepRow("START of 64 MiB, all pages written as they are", MANY, [(s) => s.touch(PRIVATE, MANY, 0)], {
    times: 2,
  }),
  stepRow("START of 64 MiB, abort after all pages", MANY, [(s) => s.touch(PRIVATE, MANY, 1).abort()], {
    times: 2,
  }),
  stepRow("START of 64 MiB, too little gas for its pages", MANY, [(s) => s.touch(PRIVATE, MANY, 1)], {
    times: 2,
    gas: 400_000,
  }),
  stepRow("START, trap", 16, [(s) => s.trap()], { times: 1_000, gas: 1_000 }),
  stepRow("START, trap 5,000 calls deep", 16, [(s) => s.trap(5_000)], { times: 100, gas: 100_000 }),
  stepRow("START, abort", 16, [(s) => s.abort()], { times: 1_000, gas: 100_000 }),
  stepRow("START, grow", 16, [(s) => s.grow(1).abort()], { times: 100, gas: 1_000_000 }),
  stepRow("START, grow and trap", 16, [(s) => s.grow(1).trap()], {
    times: 100,
    gas: gasToGrow(memoryFor(16)),
  }),
  {
    name: "RET 5,000 calls deep, and back",
    programs: [gasGuest()],
    open: (caller, [hash]) => {
      make(caller, 1, hash!, { memoryQuotaPages: quota(memoryFor(16) + 100) });
      const stopping = stepping(caller, 1, new Steps(PRIVATE - 8192).ret(5_000));
      const requests = [...stopping, ...activation(caller, 1, {})];
      return () => caller.repeat(requests, 5);
    },
  },
  stepRow("START, 64 MiB written, grow and trap", MANY, [(s) => s.touch(PRIVATE, MANY, 1).grow(1).trap()], {
    gas: MANY * (COST_PAGE_TOUCH + 20) + gasToGrow(memoryFor(MANY)),
    documented: "memory that the OS hands out again: 2 to 12 µs a page, once for each instance",
  }),
  {
    name: "START of 600 MiB, two images in turn",
    rounds: 3,
    programs: [touching(150_000)],
    open: (caller, [hash]) => {
      for (const child of [1, 2]) {
        make(caller, child, hash!);
        fillOwn(caller, 0, child);
        sharePage(caller, child, 0, PRIVATE, 150_000);
      }
      const requests = [1, 2].flatMap((child) =>
        activation(caller, child, { entry: "nothing", gas: 100_000 }),
      );
      return () => caller.repeat(requests);
    },
  },
  {
    name: "START of 600 MiB, and of a child with none of it, in turn",
    rounds: 3,
    programs: [touching(150_000)],
    open: (caller, [hash]) => {
      for (const child of [1, 2]) make(caller, child, hash!);
      fillOwn(caller, 0, 1);
      sharePage(caller, 1, 0, PRIVATE, 150_000);
      const requests = [1, 2].flatMap((child) =>
        activation(caller, child, { entry: "nothing", gas: 100_000 }),
      );
      return () => caller.repeat(requests);
    },
  },
  // Nothing of the memory was touched: each time an engine makes one again.
  ...[64, 1_024].map(
    (mebibytes): Row => ({
      name: `START of ${mebibytes} MiB without pages, grow and trap`,
      programs: [growerModule(mebibytes * 16 + 2)],
      open: (caller, [hash]) => {
        make(caller, 1, hash!, { memoryQuotaPages: quota(mebibytes * 16 + 2) });
        caller.repeat(activation(caller, 1, { entry: "grow", argument: BigInt(mebibytes * 16) }));
        const requests = activation(caller, 1, { entry: "growTrap", gas: gasToGrow(mebibytes * 16 + 1) });
        return () => caller.repeat(requests, 20);
      },
    }),
  ),
  ...[1, 10_000].map(
    (elements): Row => ({
      name: `START, grow and trap, a table of ${elements}`,
      programs: [tableModule(elements)],
      open: (caller, [hash]) => {
        make(caller, 1, hash!, { memoryQuotaPages: quota(4) });
        const requests = activation(caller, 1, { entry: "growTrap", gas: gasToGrow(1) });
        return () => caller.repeat(requests, 50);
      },
    }),
  ),
  ...["nothing", "change"].map(
    (entry): Row => ({
      name: `START of two children with 2,000 globals in turn, ${entry}`,
      programs: [globalsModule(2_000)],
      open: (caller, [hash]) => {
        const requests = [1, 2].flatMap((child) => {
          make(caller, child, hash!);
          caller.repeat(activation(caller, child, { entry: "change", argument: BigInt(child) }));
          return [7n, 8n].flatMap((argument) =>
            activation(caller, child, { entry, argument, gas: 1_000_000 }),
          );
        });
        return () => caller.repeat(requests, 50);
      },
    }),
  ),
  inTurn(
    "START of 200 programs of genesis in turn",
    Array.from({ length: 200 }, (_, i) => tinyModule(i)),
    (caller, hashes) => hashes.map((hash, child) => make(caller, child, hash)),
    2,
  ),
  inTurn(
    "START of 200 programs with other maxima in turn",
    Array.from({ length: 200 }, (_, i) => tinyModule(i, i + 1)),
    (caller, hashes) => hashes.map((hash, child) => make(caller, child, hash)),
  ),
  inTurn("START of 200 installed programs in turn", [], (caller) => installAll(caller, tinyModule, 200)),
  // More than a thread keeps instances of.
  inTurn("START of 500 installed programs in turn", [], (caller) => installAll(caller, tinyModule, 500)),
  inTurn("START of 100 installed programs with 1,500 loops in turn", [], (caller) =>
    installAll(caller, (number) => loopsModule(1_500, number), 100),
  ),
  descending(200, 1),
  descending(360, 1),
  descending(25, 40),
  {
    name: "install a tiny program",
    programs: [],
    open: (caller) => {
      let number = 0;
      return () => {
        let gas = 0;
        for (let i = 0; i < 20; i++)
          gas += caller.put(1, { install: tinyModule(number++), memoryQuotaPages: quota(200) }).gas;
        return gas;
      };
    },
  },
  {
    name: "install a program with 1,500 loops",
    programs: [],
    open: (caller) => {
      let number = 0;
      return () => caller.put(1, { install: loopsModule(1_500, number++), memoryQuotaPages: quota(200) }).gas;
    },
  },
  {
    name: "one child of 100,000 changes",
    programs: [gasGuest(), tiny],
    open: (caller, hashes) => {
      make(caller, 1, hashes[0]!, { memoryQuotaPages: quota(200_000), processQuota: 100_001, heldGas: 1e12 });
      const program = PRIVATE + PAGE;
      ok(caller.put(1, { ranges: [{ source: hashes[1]!, target: program }] }));
      caller.repeat(stepping(caller, 1, new Steps().put(0, { program }, 100_000), { gas: 1e11 }));
      const one = new Steps(PRIVATE - 8192).put(50_000, { ranges: [{ zero: true, target: 0, length: 1 }] });
      const requests = stepping(caller, 1, one);
      return () => caller.repeat(requests, 200);
    },
  },
];
