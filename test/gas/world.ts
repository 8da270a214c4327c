/**
 * The property: for every call, what gas it takes pays for its work at the prices of prices.ts, and for the
 * bytes that it takes of the heap at HEAP_BYTES_PER_GAS. Wraps a caller, and writes down each call for which
 * that does not hold.
 *
 * START takes gas for what the activation will do: bringing the image in. So what a START paid and did not
 * use is added to the gas of the join, for each of the two.
 *
 * Memories of the host are apart. A process may have one made for it when it runs for the first time or with
 * another size, and who grows one that is of no use then has paid for the next one: they go into a pot, from
 * which others are taken. A process that has grown and falls back to a reference snapshot from before loses
 * its memory without having grown again: it had paid when it grew, and there is no such snapshot any more
 * when the caller's activation has ended.
 */

import { HEAP_BYTES_PER_GAS } from "../../runtime/kernel/gas.ts";
import { WASM_PAGE_BYTES } from "../../runtime/limits.ts";
import { AUX_PAGES, batchAuxPages } from "../../runtime/program/layout.ts";
import type { Work } from "../../runtime/work.ts";
import { type Call, type Caller, PLENTY, type Request } from "./caller.ts";
import { GUEST, LARGE } from "./play.ts";
import { pricesOf, UNIT_GAS } from "./prices.ts";
import { STATE_BYTES } from "./steps.ts";

/** A call that did not pay for its work. */
export interface Unpaid {
  /** Of the call, in its round. */
  readonly number: number;
  /** What the generator was about. */
  readonly step: string;
  readonly call: string;
  readonly gas: number;
  /** Work over gas. */
  readonly ratio: number;
  /** What each kind of work should have cost, the dearest first. */
  readonly work: readonly (readonly [kind: string, gas: number])[];
}

/**
 * What the memories of a process's instances cost, the guest's of so many pages of 64 KiB: one runs it, or
 * the items of its batches with a memory more to put things back; if it has state another one runs them.
 */
function ofInstances(memoryPages: number, hasState: boolean): number {
  const sequential = 2 * memoryPages + AUX_PAGES;
  const pages = hasState ? sequential + 2 * memoryPages + batchAuxPages(STATE_BYTES) : sequential;
  return (hasState ? 6 : 3) * UNIT_GAS.memories + pages * WASM_PAGE_BYTES * UNIT_GAS.memoryBytes;
}

/** What losing a memory of so many pages of 64 KiB costs. */
function ofLoss(memoryPages: number): number {
  return UNIT_GAS.memoriesLost + memoryPages * WASM_PAGE_BYTES * UNIT_GAS.memoryBytesLost;
}

/** Gas that STARTs have paid and not used, by child. */
class Credit {
  #now = new Map<number, number>();
  #atStart = new Map<number, number>();

  of(child: number): number {
    return this.#now.get(child) ?? 0;
  }

  set(child: number, gas: number): void {
    if (gas > 0) this.#now.set(child, gas);
    else this.#now.delete(child);
  }

  /** The caller's activation ends. */
  settle(): void {
    this.#atStart = new Map(this.#now);
  }

  /** It fell back to its start. */
  fall(): void {
    this.#now = new Map(this.#atStart);
  }
}

export class World {
  readonly caller: Caller;
  readonly unpaid: Unpaid[] = [];
  calls = 0;
  /** Largest ratio of work to gas that was paid. */
  highest = 0;
  step = "";
  readonly #time = new Credit();
  readonly #space = new Credit();
  /** Gas for memories, and the processes with their sizes for which there was some. */
  #pot = 0;
  readonly #seen = new Set<string>();
  /** What children that have grown in this activation of the caller paid for a loss that did not come. */
  readonly #grown = new Map<number, number>();

  constructor(caller: Caller) {
    this.caller = caller;
  }

  call(request: Request, gas = PLENTY, child = request.child): Call {
    const { caller } = this;
    const started = caller.isStarted(child);
    const pages = caller.about(child)?.memoryPages ?? 0;
    const done = caller.call(request, gas, child);
    this.calls++;
    // What a call makes of the caller's own memory, the caller pays when its activation ends.
    const prices = pricesOf(done.work, started || request.what === "put");
    this.#takeFromPot(child, done.work, prices);
    if (started) this.#payLoss(child, (caller.about(child)?.memoryPages ?? 0) - pages, prices);
    const spaces = new Map([["heap", done.work.heapBytes / HEAP_BYTES_PER_GAS]]);
    for (const [credit, of] of [
      [this.#time, prices],
      [this.#space, spaces],
    ] as const) {
      const price = [...of.values()].reduce((sum, one) => sum + one, 0);
      const gas = done.gas + (started ? credit.of(child) : 0);
      this.#judge(request.what, gas, price, of);
      if (done.code === null) credit.fall();
      else credit.set(child, caller.isStarted(child) ? Math.max(0, gas - price) : 0);
    }
    if (done.code === null) this.#grown.clear();
    return done;
  }

  /** The caller's activation ends and another begins. */
  settle(): void {
    this.caller.settle();
    this.#time.settle();
    this.#space.settle();
    this.#grown.clear();
  }

  /** A started child was joined, and has so many pages of memory more than before. */
  #payLoss(child: number, more: number, prices: Map<string, number>): void {
    if (more > 0) this.#grown.set(child, ofLoss(this.caller.about(child)!.memoryPages));
    if (more >= 0) return;
    for (const kind of ["memoriesLost", "memoryBytesLost"]) {
      const price = prices.get(kind) ?? 0;
      const paid = Math.min(this.#grown.get(child) ?? 0, price);
      this.#grown.set(child, (this.#grown.get(child) ?? 0) - paid);
      prices.set(kind, price - paid);
    }
  }

  #takeFromPot(child: number, { memoriesLost }: Work, prices: Map<string, number>): void {
    const { program = -1, memoryPages = 0 } = this.caller.about(child) ?? {};
    const instances = ofInstances(memoryPages, program === GUEST || program === LARGE);
    const key = `${child} ${program} ${memoryPages}`;
    if (this.caller.isStarted(child) && !this.#seen.has(key)) {
      this.#seen.add(key);
      this.#pot += instances;
    }
    for (const kind of ["memories", "memoryBytes"]) {
      const price = prices.get(kind) ?? 0;
      const taken = Math.min(this.#pot, price);
      this.#pot -= taken;
      prices.set(kind, price - taken);
    }
    this.#pot += memoriesLost * instances;
  }

  #judge(call: string, gas: number, price: number, prices: ReadonlyMap<string, number>): void {
    const ratio = price / Math.max(gas, 1);
    if (ratio <= 1) {
      this.highest = Math.max(this.highest, ratio);
      return;
    }
    const dearest = [...prices].filter(([, of]) => of > 0).sort((a, b) => b[1] - a[1]);
    this.unpaid.push({ number: this.calls, step: this.step, call, gas, ratio, work: dearest });
  }
}
