/**
 * The leader of a batch: gives it to the engine window by window, and hands back what was committed.
 *
 * A run begins at some item of the batch and ends when all are done, when the gas is used up, or when it is
 * wiser to continue item after item: an item needs the sequential variant, conflicts are too many, memory is
 * short, or a thread has died. What it leaves is what the loop over the same items leaves.
 */

import * as abi from "../../syscalls/abi.ts";
import { assert, LimitError } from "../errors.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { TABLE_LIMIT, tableGet, tableUpdate } from "../heap/table.ts";
import { hashOf } from "../image/hash.ts";
import { capturePage, capturing, pageEquals } from "../image/memory.ts";
import { publishProcess } from "../image/process.ts";
import type { Batch } from "../kernel/items/batch.ts";
import { GAS_LIMIT, PAGE_BYTES, WASM_PAGE_BYTES } from "../limits.ts";
import { highOf, joined, lowOf } from "../u64.ts";
import { BASE_AT, changedPages } from "./bridge.ts";
import { baseBytes, clearCells, passedOn, takeCells } from "./cells.ts";
import { type Counts, type Ending, type Evidence, readCounts, takeContended } from "./evidence.ts";
import { WINDOW_ITEMS } from "./experience.ts";
import { eachHint, findHints } from "./hints.ts";
import * as layout from "./layout.ts";
import type { Spending } from "./lease.ts";
import { verifyWindow } from "./paranoid.ts";
import { type Participant, STOP_SEQUENTIAL } from "./participant.ts";
import { OUTCOME_DONE, type Records } from "./records.ts";
import { type BatchControl, type BatchMemory, poison, timesOf } from "./shared.ts";

/** This part of the room for outputs is reserved in a window: most are far shorter than the outbox. */
const OUTPUT_SHARE = 8;

/** Who looks at a run. */
export interface Watch {
  /** The first window is about to open. */
  began(): void;
  /** A window has ended. Whether another one may follow. */
  windowed(): boolean;
}

export interface LeaderOptions {
  /** Checks every window once more when it is committed. */
  readonly paranoid: boolean;
  /** Notes from which items each has read. */
  readonly dependencies: boolean;
}

const indexes = new Uint32Array(TABLE_LIMIT);
const pages = new Uint32Array(TABLE_LIMIT);

export class Leader {
  readonly #heap: Heap;
  readonly #memory: BatchMemory;
  readonly #control: BatchControl;
  readonly #records: Records;
  readonly #participant: Participant;
  readonly #options: LeaderOptions;
  #hints: Uint32Array | null = null;
  readonly #words: Int32Array;

  constructor(
    heap: Heap,
    memory: BatchMemory,
    control: BatchControl,
    records: Records,
    participant: Participant,
    options: LeaderOptions,
  ) {
    this.#options = options;
    this.#heap = heap;
    this.#memory = memory;
    this.#control = control;
    this.#records = records;
    this.#participant = participant;
    this.#words = new Int32Array(memory.core.buffer);
  }

  /**
   * Leads the items of `batch` that come next. The engine was acquired; it is released.
   *
   * @param spending of items of the entry; adds those that are committed
   * @param watch decides after each window whether to continue
   * @param call asks other threads to help with the batch of that number
   */
  run(
    batch: Batch,
    evidence: Evidence,
    spending: Spending,
    watch: Watch,
    call: (number: number) => void,
  ): Ending {
    const { start, program, inputs, outcomes } = batch;
    const bound = program.handle.stateBytes;
    const mark = outcomes.mark();
    let ending: Ending;
    try {
      const description = {
        start: publishProcess(this.#heap, start),
        memory: batch.memory,
        globals: batch.globals,
        memoryPages: batch.memoryPages,
        depth: batch.depth,
        code: program.shareBatch(this.#heap),
      };
      this.#hints = findHints(this.#memory.hints, () => hashOf(this.#heap, start.inputs));
      this.#clearBase(bound, batch);
      Atomics.store(this.#words, layout.POISON / 4, 0);
      takeContended(this.#words);
      this.#participant.begin(description);
      call(this.#control.announce(description));
      watch.began();
      do {
        const items = Math.min(WINDOW_ITEMS, batch.rest);
        ending = this.#window(batch, items, evidence, spending);
        const goesOn = watch.windowed();
        if (ending === "done" && batch.next < inputs.count && !goesOn) ending = "slow";
      } while (ending === "done" && batch.next < inputs.count);
      this.#control.end();
      this.#takeTimes(evidence);
      evidence.endings.push(ending);
      if (ending === "died") {
        outcomes.rollback(mark);
        evidence.rollback(mark.next);
      } else {
        evidence.parallel += batch.next - mark.next - (outcomes.refused - mark.refused);
        batch.memory = capturing(this.#heap, () => this.#publish(batch.memory, bound));
        takeCells(this.#heap, this.#memory.base, bound, batch);
      }
      return ending;
    } catch (error) {
      poison(this.#memory.core);
      this.#control.close();
      if (!(error instanceof LimitError)) throw error;
      // What the loop would not have met: other threads' memories, and incarnations that come to nothing.
      outcomes.rollback(mark);
      evidence.rollback(mark.next);
      evidence.endings.push("memory");
      return "memory";
    } finally {
      this.#control.release();
    }
  }

  /** Leads the next `items` items. */
  #window(batch: Batch, items: number, evidence: Evidence, spending: Spending): Ending {
    const words = this.#words;
    const { outcomes, next } = batch;
    const before = this.#counts();
    const { lease } = spending;
    this.#open(batch, items, lease);
    this.#participant.run(0, next, lease);
    this.#control.close();
    const died = words[layout.POISON / 4] !== 0;
    const stop = words[layout.STOP / 4] as number;
    const committed =
      stop === STOP_SEQUENTIAL ? (words[layout.CUT / 4] as number) : this.#word(layout.COMMITTED);
    const done = died ? 0 : committed;
    assert(done >= 0 && done <= items, "batch: more items than the window has were committed");
    const { dependencies, paranoid } = this.#options;
    if (paranoid) verifyWindow(words, done);
    evidence.window(words, this.#memory.workers, before, next, done, dependencies);
    if (died) return "died";
    const { exactGas } = outcomes;
    for (let item = 0; item < done; item++) {
      const record = layout.ITEMS + item * layout.ITEM_SIZE;
      const state = this.#word(record + layout.ITEM_STATE) & ((1 << layout.STATE_KIND_BITS) - 1);
      if (state === layout.STATE_REFUSED) outcomes.add(abi.ITEM_REFUSED, 0, 0, 0, 0);
      else this.#records.report(item, this.#u64(record + layout.ITEM_GAS), outcomes);
    }
    assert(batch.next === next + done, "batch: an item that was committed has no outcome");
    if (stop === 0) {
      assert(done === items, "batch: a window ended before its items");
      assert(this.#u64(layout.GAS_LEFT) === batch.left, "batch: the gas of the items does not add up");
    }
    spending.add({ items: done, gas: outcomes.exactGas - exactGas });
    switch (stop) {
      case 0:
        return "done";
      case layout.STOP_GAS:
        batch.cut = true;
        return "cut";
      case STOP_SEQUENTIAL:
        return "sequential";
      case layout.STOP_RERUNS:
        return "conflicts";
      default:
        return "memory";
    }
  }

  /** Opens the window of the next `items` items. */
  #open(batch: Batch, items: number, lease: number): void {
    const { inputs, next } = batch;
    this.#records.begin(items, batch.kept, this.#outputRoom(batch, items));
    this.#setU64(layout.GAS_TOTAL, batch.gas);
    this.#setU64(layout.GAS_LEFT, batch.left);
    for (let item = 0; item < items; item++) {
      // No batch has so much: such an item is refused.
      const limit = Math.min(inputs.gas(next + item), GAS_LIMIT + 1);
      const record = layout.ITEMS + item * layout.ITEM_SIZE;
      this.#setU64(record + layout.ITEM_LIMIT, limit);
      // Those that are refused never say anything else.
      this.#words[(record + layout.ITEM_OUTCOME) / 4] = OUTCOME_DONE;
    }
    const { core } = this.#participant;
    core.reset(items, this.#memory.workers);
    if (this.#hints !== null) eachHint(this.#hints, next, items, core.hint);
    this.#control.open(next, lease);
  }

  /**
   * Bytes reserved for outputs of the next `items` items; the rest of the quota is there for their children.
   * What needs more of either is run by the loop.
   */
  #outputRoom(batch: Batch, items: number): number {
    const { program, inputs } = batch;
    const passed = passedOn(this.#memory.base, program.handle.stateBytes);
    return Math.min(items * (inputs.outboxCapacity - 4), Math.ceil(batch.outputRoom(passed) / OUTPUT_SHARE));
  }

  /** Makes room for the state and forgets what the base held. */
  #clearBase(bound: number, batch: Batch): void {
    const { base } = this.#memory;
    const missing = Math.ceil(baseBytes(bound) / WASM_PAGE_BYTES) - base.buffer.byteLength / WASM_PAGE_BYTES;
    if (missing > 0) base.grow(missing);
    new Uint8Array(base.buffer, 0, bound / PAGE_BYTES).fill(0);
    clearCells(this.#heap, base, bound, batch);
  }

  /** The table of the state as the base has it. */
  #publish(root: Ref, bound: number): Ref {
    const heap = this.#heap;
    const base = new Uint8Array(this.#memory.base.buffer);
    let result = root;
    let count = 0;
    for (const page of changedPages(this.#memory.base, 0, bound / PAGE_BYTES)) {
      const at = BASE_AT + page * PAGE_BYTES;
      if (pageEquals(heap, tableGet(heap, root, page), base, at)) continue;
      indexes[count] = page;
      pages[count++] = capturePage(heap, base, at);
      if (count < TABLE_LIMIT) continue;
      result = tableUpdate(heap, result, indexes, pages, count);
      count = 0;
    }
    return tableUpdate(heap, result, indexes, pages, count);
  }

  /** What the threads have added up, which starts again. */
  #takeTimes(evidence: Evidence): void {
    for (let worker = 0; worker < this.#memory.workers; worker++) {
      const times = timesOf(this.#memory, worker);
      times.forEach((time, phase) => {
        evidence.nanoseconds[phase] = (evidence.nanoseconds[phase] as number) + time;
      });
      times.fill(0);
    }
  }

  #counts(): Counts {
    return readCounts(this.#words, this.#memory.workers);
  }

  #word(at: number): number {
    return (this.#words[at / 4] as number) >>> 0;
  }

  #u64(at: number): number {
    return joined(this.#word(at), this.#word(at + 4));
  }

  #setU64(at: number, value: number): void {
    this.#words[at / 4] = lowOf(value);
    this.#words[at / 4 + 1] = highOf(value);
  }
}
