/**
 * What the steps of the fuzzer "gas" are made of (generate.ts): a few children, programs and sizes, so that
 * what one step has built another meets.
 */

import { type GetSpec, type PutSpec, quota } from "../driver.ts";
import { PLENTY } from "./caller.ts";
import { fillOwn, PAGE } from "./rows.ts";
import { PRIVATE, type Steps } from "./steps.ts";
import type { World } from "./world.ts";

export type Next = (limit: number) => number;

/** Programs by number, in the order in which the caller is opened with them. */
export const GUEST = 0;
export const LARGE = 1;
export const GLOBALS = 2;
export const TABLE = 3;
export const GROWER = 4;
export const TINY = 5;

/** Pages beyond PRIVATE in the two guests. */
export const SMALL_PAGES = 64;
export const LARGE_PAGES = 12_000;
export const CHILDREN = 5;
/** Where a child's own requests and the hash of a program lie. */
export const SCRIPT = PRIVATE - 16_384;
export const HASH = PRIVATE - 64;
export const RANGES = 512;
/** Numbers from here on never are children. */
export const ABSENT = 100_000;
export const GAS = [20_000, 100_000, 400_000, 3_000_000, 1e9] as const;

/** A number from 1 to `most`, of any magnitude. */
export const upTo = (next: Next, most: number): number => {
  const bits = next(Math.ceil(Math.log2(most)) + 1);
  return Math.min(most, 1 + next(2 ** bits));
};
export const pick = <T>(next: Next, list: readonly T[]): T => list[next(list.length)] as T;

/** What steps are made with. */
export class Play {
  readonly world: World;
  readonly next: Next;

  constructor(world: World, next: Next) {
    this.world = world;
    this.next = next;
  }

  /** Any, mostly one that there is. */
  get child(): number {
    return this.#choose(() => true) ?? 1 + this.next(CHILDREN);
  }

  /** One of the program "gas"; made if there is none. */
  get guest(): number {
    const found =
      this.next(8) === 0 ? null : this.#choose((program) => program === GUEST || program === LARGE);
    return found ?? this.makeGuest(this.next(3) === 0 ? GUEST : LARGE);
  }

  #choose(fits: (program: number) => boolean): number | null {
    const all = Array.from({ length: CHILDREN }, (_, i) => i + 1);
    const found = all.filter((child) => fits(this.world.caller.about(child)?.program ?? -1));
    return found.length === 0 ? null : pick(this.next, found);
  }

  makeGuest(program: number): number {
    const { world } = this;
    const child = 1 + this.next(CHILDREN);
    const hash = world.caller.hashes[program] as Uint8Array;
    world.call(
      world.caller.putRequest(child, {
        program: hash,
        memoryQuotaPages: quota(20_000),
        processQuota: 8_000,
        heldGas: 1e12,
      }),
    );
    const tiny = world.caller.hashes[TINY] as Uint8Array;
    world.call(world.caller.putRequest(child, { ranges: [{ source: tiny, target: HASH }] }));
    return child;
  }

  /** Pages of the guest from PRIVATE on, at most. */
  pages(child: number): number {
    return this.world.caller.about(child)?.program === LARGE ? LARGE_PAGES : SMALL_PAGES;
  }

  /** Mostly enough, sometimes so little that it runs out somewhere. */
  get budget(): number {
    return this.next(12) > 0 ? PLENTY : 10 ** (2 + this.next(7));
  }

  put(child: number, spec: PutSpec): void {
    this.world.call(this.world.caller.putRequest(child, spec), this.budget);
  }

  get(child: number, spec: GetSpec): void {
    this.world.call(this.world.caller.getRequest(child, spec), this.budget);
  }

  /** With enough gas: a PUT, or a GET of the status. */
  plenty(child: number, spec?: PutSpec): void {
    const { caller } = this.world;
    const request = spec ? caller.putRequest(child, spec) : caller.getRequest(child, { status: true });
    this.world.call(request);
  }

  load(child: number, steps: Steps): void {
    this.plenty(child, { ranges: [{ source: steps.bytes(), target: steps.base }] });
  }

  /** Whole pages of the caller's at `source`, the same for all, to pages of the child. */
  share(child: number, source: number, first: number, pages: number): void {
    const { caller } = this.world;
    for (let done = 0; done < pages; done += RANGES) {
      const ranges = Array.from({ length: Math.min(RANGES, pages - done) }, (_, i) => {
        return { source, target: PRIVATE + (first + done + i) * PAGE, length: PAGE };
      });
      this.world.call(caller.putRequest(child, { ranges }));
    }
  }

  start(child: number, entry: string, argument = 0n): void {
    const keep = this.next(3) === 0;
    this.put(child, { start: { entry, argument, gas: pick(this.next, GAS), keep } });
    if (this.next(5) > 0) this.get(child, { status: true });
  }

  run(child: number, steps: Steps): void {
    this.load(child, steps);
    this.start(child, "run", BigInt(steps.base));
  }
}

/** What an activation or an item may do; `most`: pages from PRIVATE on. */
export function something(play: Play, steps: Steps, most: number): Steps {
  const { next } = play;
  const pages = upTo(next, most);
  const many = upTo(next, 300);
  const first = next(300);
  const start = { entry: "nothing", gas: pick(next, GAS.slice(0, 3)) };
  const does = [
    () => steps.touch(PRIVATE, pages, next(3)),
    () => steps.touch(PRIVATE, pages, next(3)),
    () => steps.touch(0, upTo(next, 1024), next(3)),
    () => steps.fill(PRIVATE, pages * PAGE, next(3)),
    () => steps.spin(next(1000)),
    () => steps.grow(next(3)),
    () => steps.deep(next(5000)),
    () => steps.put(first, { program: HASH }, many),
    () => steps.put(first, { program: HASH, start }, many),
    () => steps.put(first, { start }, many),
    () => steps.put(first, { drop: true }, many),
    () => steps.put(first, { ranges: [{ zero: true, target: 0, length: 1 + next(9000) }] }, many),
    () => steps.put(first, { clone: next(300) }),
    () => steps.get(first, { status: true }, many),
    () => steps.get(first, { hash: true }),
    () => steps.get(first, { merge: { address: 0, length: 65_536 } }),
  ];
  return pick(next, does)();
}

export function ending(play: Play, steps: Steps): Steps {
  const { next } = play;
  const ends = [
    () => steps,
    () => steps,
    () => steps.trap(next(3) * next(2000)),
    () => steps.abort(),
    () => steps.ret(next(3) * next(2000)),
    () => steps.spin(1_000_000),
  ];
  return pick(next, ends)();
}

/** Other pages, of equal or of other bytes, all over a child that has a reference snapshot. */
export function replace(play: Play, guest: number): void {
  const { next, world } = play;
  const pages = upTo(next, play.pages(guest));
  const byte = next(4);
  fillOwn(world.caller, 0, byte);
  play.share(guest, 0, 0, pages);
  play.plenty(guest, { start: { entry: "nothing", gas: 100_000 } });
  play.plenty(guest);
  fillOwn(world.caller, 2 * PAGE, next(2) === 0 ? byte : byte + 1);
  play.share(guest, 2 * PAGE, 0, pages);
}
