/**
 * Random calls of the fuzzer "gas". Each step sets something up or probes it, with sizes from nothing to the
 * worst: a step chooses among a few children (play.ts), so what one has built another meets. Every call of
 * every step is held to the property (world.ts).
 */

import { COST_PAGE_TOUCH, costOfGrowth } from "../../runtime/kernel/gas.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota } from "../driver.ts";
import { PLENTY } from "./caller.ts";
import { batchOf } from "./item-rows.ts";
import { entryName, loopsModule, tinyModule } from "./modules.ts";
import {
  ABSENT,
  CHILDREN,
  ending,
  GAS,
  GLOBALS,
  GROWER,
  GUEST,
  HASH,
  LARGE,
  LARGE_PAGES,
  type Next,
  Play,
  pick,
  RANGES,
  replace,
  SCRIPT,
  something,
  TABLE,
  TINY,
  upTo,
} from "./play.ts";
import { fillOwn, PAGE } from "./rows.ts";
import { PRIVATE, Steps } from "./steps.ts";
import type { World } from "./world.ts";

/** Every kind of step by name; the fuzzer takes one after the other at random. */
export const STEPS: Readonly<Record<string, (play: Play) => void>> = {
  create: (play) => {
    const { next, world } = play;
    const program = world.caller.hashes[next(TINY + 1)] as Uint8Array;
    play.put(1 + next(CHILDREN), {
      program,
      memoryQuotaPages: quota(2_000 + next(20_000)),
      processQuota: 3_000,
      heldGas: 1e12,
    });
  },
  start: (play) => {
    const { child, next } = play;
    const entries = ["nothing", "nothing", "nothing", "change", "growTrap", "grow"];
    const entry = ENTRIES[play.world.caller.about(child)?.program ?? 0] ?? entries;
    for (let i = next(3); i >= 0; i--) play.start(child, pick(next, entry), BigInt(next(4)));
  },
  /** Entries by their names, long or short, many of which there are not. */
  entries: (play) => {
    const { child, next } = play;
    for (let i = 4 + next(60); i > 0; i--) play.start(child, entryName(next(10_000)), BigInt(next(4)));
  },
  resume: (play) => play.start(play.guest, ""),
  run: (play) => {
    const child = play.guest;
    const steps = new Steps(SCRIPT);
    for (let i = play.next(3); i >= 0; i--) something(play, steps, play.pages(child));
    play.run(child, ending(play, steps));
  },
  /** With gas to touch pages, and for a part of what they cost if they differ. */
  short: (play) => {
    const { next, guest } = play;
    const pages = upTo(next, play.pages(guest));
    play.load(guest, new Steps(SCRIPT).touch(PRIVATE, pages, next(2 ** 31)));
    const gas = 20_000 + pages * (COST_PAGE_TOUCH + next(1_000));
    play.plenty(guest, { start: { entry: "run", argument: BigInt(SCRIPT), gas } });
    play.plenty(guest);
  },
  /** Many children below a child, some of them started. */
  family: (play) => {
    const { next, guest } = play;
    const start = { entry: "nothing", gas: 30_000 };
    const spec = next(3) > 0 ? { program: HASH, start } : { program: HASH };
    const steps = new Steps(SCRIPT).put(0, spec, upTo(next, 2_500));
    play.load(guest, steps);
    play.plenty(guest, { start: { entry: "run", argument: BigInt(SCRIPT), gas: 1e12 } });
    if (next(3) > 0) play.plenty(guest);
  },
  /** Children far from each other, which share no nodes of the table; then each is changed a little. */
  scattered: (play) => {
    const { next, guest } = play;
    const numbers = Array.from({ length: 30 }, () => next(2 ** 20));
    const made = new Steps(SCRIPT);
    for (const number of numbers) made.put(number, { program: HASH });
    const changed = new Steps(SCRIPT);
    const zero = { ranges: [{ zero: true, target: 0, length: 1 }] };
    for (const number of numbers) changed.put(number, zero);
    for (const steps of [made, changed, changed]) {
      play.load(guest, steps);
      play.plenty(guest, { start: { entry: "run", argument: BigInt(SCRIPT), gas: 1e9 } });
      play.plenty(guest);
    }
  },
  /** Children below full nodes that they do not share; then one below each is changed. */
  bushy: (play) => {
    const { next } = play;
    const guest = play.makeGuest(GUEST);
    const far = Array.from({ length: 2 + next(8) }, (_, i) => (i + next(2)) << 15);
    const run = (steps: Steps): void => {
      play.load(guest, steps);
      play.plenty(guest, { start: { entry: "run", argument: BigInt(SCRIPT), gas: 1e9 } });
      play.plenty(guest);
    };
    for (const number of far) {
      run(new Steps(SCRIPT).put(number, { program: HASH }, 32));
      for (const bits of [5, 10]) {
        const steps = new Steps(SCRIPT);
        for (let i = 1; i < 32; i++) steps.put(number + (i << bits), { program: HASH });
        run(steps);
      }
    }
    const steps = new Steps(SCRIPT);
    for (const number of far) steps.put(number, { drop: true });
    run(steps);
  },
  /** A child falls back to its reference snapshot, again and again. */
  fall: (play) => {
    const { guest } = play;
    play.load(guest, play.next(2) === 0 ? new Steps(SCRIPT).abort() : new Steps(SCRIPT).trap());
    for (let i = 0; i < 3; i++) {
      const start = { entry: "run", argument: BigInt(SCRIPT), gas: 100_000, keep: i > 0 };
      play.plenty(guest, { start });
      play.plenty(guest);
    }
  },
  clone: (play) => play.put(1 + play.next(CHILDREN), { clone: play.child }),
  /** Copies of a started child, which are joined. */
  copies: (play) => {
    const { guest, next } = play;
    play.plenty(guest, { start: { entry: "nothing", gas: 100_000 } });
    for (let i = next(3); i >= 0; i--) {
      play.plenty(3_000 + i, { clone: guest });
      play.plenty(3_000 + i);
    }
    play.plenty(guest);
  },
  /** A child grows, and falls back. */
  growths: (play) => {
    const { guest, next } = play;
    const steps = new Steps(SCRIPT).grow(1 + next(3));
    play.load(guest, next(2) === 0 ? steps.abort() : steps.trap());
    for (let i = next(4); i >= 0; i--) {
      play.plenty(guest, { start: { entry: "run", argument: BigInt(SCRIPT), gas: 1_500_000 } });
      play.plenty(guest);
    }
  },
  /** A child that has grown falls back to a reference snapshot from before. */
  outgrown: (play) => {
    const { guest, next } = play;
    const run = (steps: Steps, keep: boolean): void => {
      play.load(guest, steps);
      play.plenty(guest, { start: { entry: "run", argument: BigInt(SCRIPT), gas: 1_500_000, keep } });
      play.plenty(guest);
    };
    for (let i = next(3); i >= 0; i--) run(new Steps(SCRIPT).grow(1 + next(3)), i < 2);
    for (let i = next(3); i >= 0; i--) run(new Steps(SCRIPT).trap(), true);
  },
  cloneSelf: (play) => {
    const { next, world } = play;
    fillOwn(world.caller, 1 << 20, next(256), upTo(next, 2_000));
    play.put(1 + next(CHILDREN), { clone: abi.CLONE_SELF, memoryQuotaPages: quota(2_000), processQuota: 1 });
  },
  /** Pages that calls have written, to the same bytes, are compared by a clone of the caller. */
  rewritten: (play) => {
    const { next, guest } = play;
    const copy = [{ source: PRIVATE, length: PAGE * upTo(next, 1_000), target: 1 << 20 }];
    for (let i = 1 + next(2); i >= 0; i--) {
      play.get(guest, { copy });
      play.put(1 + next(CHILDREN), {
        clone: abi.CLONE_SELF,
        memoryQuotaPages: quota(2_000),
        processQuota: 1,
      });
    }
  },
  /** A child that uses up its gas is joined by a call that is out of gas then. */
  ruined: (play) => {
    const { guest, next, world } = play;
    play.load(guest, new Steps(SCRIPT).touch(PRIVATE, play.pages(guest), 1));
    play.plenty(guest, { start: { entry: "run", argument: BigInt(SCRIPT), gas: 20_000 + next(300_000) } });
    world.call(world.caller.getRequest(guest, { status: true }), 1_000);
  },
  drop: (play) => play.put(play.child, { drop: true }),
  hash: (play) => play.get(play.child, { hash: true }),
  status: (play) => play.get(play.child, { status: true, detail: 40 }),
  copyIn: (play) => {
    const { next, world, guest } = play;
    fillOwn(world.caller, PAGE * next(64), next(3), 1 + next(4));
    const most = play.pages(guest) - 4;
    const length = next(2) === 0 ? upTo(next, 100_000) : PAGE * upTo(next, Math.min(most, 2_000));
    const target = PRIVATE + next(2) * next(2 * PAGE);
    play.put(guest, { ranges: [{ source: next(64) * PAGE + next(2), target, length }] });
  },
  copyOut: (play) => {
    const { next } = play;
    const length = next(2) === 0 ? upTo(next, 100_000) : PAGE * upTo(next, 1_000);
    const copy = [{ source: next(2) * PAGE, length, target: (1 << 20) + next(2) * next(PAGE) }];
    play.get(play.guest, { copy });
  },
  zero: (play) => {
    const length = upTo(play.next, 200_000);
    play.put(play.guest, { ranges: [{ zero: true, target: PRIVATE + play.next(PAGE), length }] });
  },
  /** A byte in each of many pages, again after all of these were zeroed or shared. */
  again: (play) => {
    const { next, guest } = play;
    const pages = Array.from({ length: upTo(next, Math.min(RANGES, play.pages(guest))) }, (_, i) => i);
    const length = 1 + next(2) * next(PAGE);
    const bytes = pages.map((i) => ({ source: PAGE, target: PRIVATE + i * PAGE, length }));
    for (let i = 1 + next(2); i >= 0; i--) {
      play.put(guest, { ranges: bytes });
      if (next(2) === 0)
        play.put(guest, { ranges: [{ zero: true, target: PRIVATE, length: pages.length * PAGE }] });
      else play.share(guest, 0, 0, pages.length);
    }
    play.put(guest, { ranges: bytes });
  },
  replace: (play) => replace(play, play.guest),
  merge: (play) => {
    const { next, guest } = play;
    if (next(3) > 0) replace(play, guest);
    const address = next(2) === 0 ? 0 : PRIVATE + next(50) * PAGE;
    const length = next(2) === 0 ? 8 * next(3) : PAGE * upTo(next, play.pages(guest) - 50);
    const kind = pick(next, [abi.MERGE_BYTES, abi.MERGE_BYTES, abi.MERGE_ADD_64]);
    const request = play.world.caller.getRequest(guest, { merge: { address, length, kind } });
    for (let i = next(4); i >= 0; i--) play.world.call(request, play.budget);
  },
  /** Numbers without a child, then a search. */
  absent: (play) => {
    const { next, world } = play;
    const get = world.caller.getRequest(ABSENT, { status: true });
    for (let i = upTo(next, 20_000); i > 0; i--) world.call(get, PLENTY, ABSENT + i);
    play.put(play.child, { program: new Uint8Array(32).fill(7) });
  },
  search: (play) => play.put(play.child, { program: new Uint8Array(32).fill(7) }),
  /** Children of the caller itself, many. */
  children: (play) => {
    const { next, world } = play;
    const request = world.caller.putRequest(0, { program: world.caller.hashes[TINY] as Uint8Array });
    for (let i = upTo(next, 3_000); i > 0; i--) world.call(request, PLENTY, 1_000 + i);
  },
  install: (play) => {
    const { next } = play;
    const program = next(4) === 0 ? loopsModule(upTo(next, 500), next(100)) : tinyModule(next(1000));
    play.put(1 + next(CHILDREN), { install: program, memoryQuotaPages: quota(200) });
  },
  /** More programs than a thread keeps, in turn. */
  programs: (play) => {
    const { next, world } = play;
    const count = upTo(next, 100);
    for (let i = 0; i < count; i++) {
      world.call(
        world.caller.putRequest(500 + i, { install: tinyModule(5_000 + i), memoryQuotaPages: quota(200) }),
      );
    }
    for (let i = 0; i < 2 * count; i++) {
      const child = 500 + (i % count);
      play.plenty(child, { start: { entry: "nothing", gas: 30_000 } });
      play.plenty(child);
    }
  },
  /** Processes of different sizes in turn, the largest first. */
  sizes: (play) => {
    const { next, world } = play;
    const count = 2 + upTo(next, 30);
    const step = upTo(next, Math.floor(290 / count));
    for (let i = 0; i < count; i++) {
      const program = world.caller.hashes[GROWER] as Uint8Array;
      play.plenty(2_000 + i, { program, memoryQuotaPages: quota(300) });
      const argument = BigInt((count - i) * step);
      play.plenty(2_000 + i, { start: { entry: "grow", argument, gas: 10_000_000 } });
      play.plenty(2_000 + i);
    }
    for (let i = 0; i < 6 * count; i++) {
      const child = 2_000 + (i % count);
      play.plenty(child, { start: { entry: "nothing", gas: 30_000 } });
      play.plenty(child);
    }
  },
  batch: (play) => {
    const { next, world } = play;
    // Half of the time in a child that has nothing started.
    const child = next(2) === 0 ? play.guest : play.makeGuest(next(2) === 0 ? GUEST : LARGE);
    const steps = new Steps();
    for (let i = next(2); i >= 0; i--) something(play, steps, play.pages(child));
    ending(play, steps);
    const of = { count: 1 + next(8), gas: pick(next, [100, ...GAS]), steps: [steps] };
    for (const request of batchOf(world.caller, child, of)) world.call(request);
  },
  /** Items that write pages of state as they are. */
  unchanged: (play) => {
    const { next, world, guest } = play;
    const steps = new Steps().touch(0, upTo(next, 1_024), next(3));
    for (let i = 1 + next(2); i >= 0; i--) {
      for (const request of batchOf(world.caller, guest, { count: 1, gas: 1e8, steps: [steps] })) {
        world.call(request);
      }
    }
  },
  /** An item that makes many children and starts half of them. */
  crowd: (play) => {
    const { world, next } = play;
    const child = play.makeGuest(GUEST);
    const count = upTo(next, 6_000);
    const start = { entry: "nothing", gas: 30_000 };
    const steps = new Steps().put(0, { program: HASH }, count).put(0, { start }, count / 2);
    for (const request of batchOf(world.caller, child, { count: 1, gas: 1e9, steps: [steps] })) {
      world.call(request);
    }
  },
  /**
   * Pages all over a large memory, alone or in pieces: the caller's, equal or different, or the child's own;
   * then the child runs with little to do, and merges and copies look at what lies far apart.
   */
  layout: (play) => {
    const { next } = play;
    const guest = play.makeGuest(LARGE);
    const spread = 1 << next(12);
    const [places, piece] = [1 + next(50), 1 + next(8)];
    const at = (i: number): number => PRIVATE + ((i * spread) % (LARGE_PAGES - piece)) * PAGE;
    const own = new Steps(SCRIPT);
    for (let i = 0; i < places; i++) own.touch(at(i), piece, next(3));
    fillOwn(play.world.caller, 0, next(4), 8);
    const ranges = Array.from({ length: places }, (_, i) => {
      return {
        source: next(8 - piece + 1) * PAGE,
        target: at(next(2) * i) + next(2),
        length: piece * PAGE - 1,
      };
    });
    for (let i = next(3); i >= 0; i--) {
      if (next(2) === 0) play.run(guest, own);
      else play.put(guest, { ranges });
      play.start(guest, "nothing");
    }
    const copy = ranges.map(({ target, length }, i) => ({
      source: target,
      length,
      target: (1 << 20) + i * 8 * PAGE,
    }));
    play.get(guest, { copy });
    play.get(guest, { merge: { address: PRIVATE, length: (LARGE_PAGES - 50) * PAGE } });
  },
  /** Memory without pages: a child of a size up to the largest, which does nothing, or loses its instance. */
  emptiness: (play) => {
    const { next, world } = play;
    const child = 1 + next(CHILDREN);
    const program = world.caller.hashes[GROWER] as Uint8Array;
    play.plenty(child, { program, memoryQuotaPages: quota(40_000) });
    const pages = upTo(next, 16_000);
    play.plenty(child, { start: { entry: "grow", argument: BigInt(pages), gas: 1e9 } });
    play.plenty(child);
    const gas = costOfGrowth(1, true, pages + 1) + 1_000;
    for (let i = next(3); i > 0; i--) {
      play.plenty(child, { start: { entry: "growTrap", gas } });
      play.plenty(child);
    }
    for (let i = 4 + next(100); i > 0; i--) {
      play.plenty(child, { start: { entry: "nothing", gas: 30_000 } });
      play.plenty(child);
    }
    const items = Array.from({ length: 1 + next(20) }, () => ({ input: new Uint8Array(8), gas: 10_000 }));
    for (let i = next(4); i >= 0; i--) {
      world.call(world.caller.batchRequest(child, { entry: "nothing", items, gas: 1e6, inbox: 0 }));
      play.plenty(child);
      play.start(next(2) === 0 ? child : play.child, "nothing");
    }
  },
  settle: (play) => play.world.settle(),
};

/** Entries of programs by number, if not the guest's. */
const ENTRIES: Readonly<Record<number, readonly string[]>> = {
  [GUEST]: ["nothing"],
  [LARGE]: ["nothing"],
  [GLOBALS]: ["nothing", "change"],
  [TABLE]: ["nothing", "growTrap"],
  [GROWER]: ["nothing", "grow"],
  [TINY]: ["nothing"],
};

/** Plays that many random steps of those kinds, or fewer if a step was enough. */
export function playSteps(
  world: World,
  next: Next,
  count: number,
  kinds: readonly string[],
  isEnough = () => false,
): void {
  const play = new Play(world, next);
  for (let i = 0; i < count && !isEnough(); i++) {
    const kind = pick(next, kinds);
    world.step = `${i} ${kind}`;
    (STEPS[kind] as (play: Play) => void)(play);
    if (next(4) === 0) world.settle();
  }
}
