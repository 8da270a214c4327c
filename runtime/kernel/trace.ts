/**
 * A trace: every activation and call of a block, in the order of a run on one thread, in which a child runs
 * when it is joined. That order, and every value in it, is a function of the block.
 */

import { FAULT_NAMES, STATUS_NAMES } from "./faults.ts";

/** Bytes of a memory. */
export interface ByteRange {
  readonly address: number;
  readonly length: number;
}

/** One thing that happened. `path` says to which process: child numbers from the root. */
export type TraceEvent =
  /** An activation begins, with so much gas. */
  | { readonly what: "begin"; readonly path: readonly number[]; readonly gas: number }
  /** It ended so, and used so much. */
  | {
      readonly what: "end";
      readonly path: readonly number[];
      readonly status: string;
      readonly fault: string;
      readonly gasUsed: number;
    }
  /** A call on a child, and what it returned; so much gas is left to the caller. */
  | {
      readonly what: "put" | "get";
      readonly path: readonly number[];
      readonly child: number;
      readonly result: number;
      readonly gas: number;
    }
  /**
   * An item of a batch ended so, and used so much; those that were refused or not run have no event. `lost`
   * is what it has changed in private memory, inbox and outbox apart, the first sixteen ranges: should one
   * of them have been kept, it belongs into the state.
   */
  | {
      readonly what: "item";
      readonly path: readonly number[];
      readonly item: number;
      readonly fault: string;
      readonly gasUsed: number;
      readonly lost: readonly ByteRange[];
    }
  /** A growth of the memory: its size before in 64 KiB pages, or -1. */
  | {
      readonly what: "grow";
      readonly path: readonly number[];
      readonly result: number;
      readonly gas: number;
    };

/** What a kernel tells of, as it happens: activations nest, and what an exception ends has no `end`. */
export interface Tracer {
  /** The activation that begins next is of a child of the current one, until `ascend`. */
  descend(child: number): void;
  ascend(): void;
  /** An activation begins, of the program with this hash (hex). */
  begin(gas: number, program: string): void;
  end(status: number, fault: number, gasUsed: number): void;
  call(what: "put" | "get", child: number, result: number, gas: number): void;
  grow(result: number, gas: number): void;
  /**
   * An item of the running batch has ended; `lost` tells what it changed in private memory, if asked at once.
   */
  item(item: number, fault: number, gasUsed: number, lost: () => readonly ByteRange[]): void;
}

/** Collects the events of a block. */
export class BlockTracer implements Tracer {
  readonly events: TraceEvent[] = [];
  readonly #path: number[] = [];

  descend(child: number): void {
    this.#path.push(child);
  }

  ascend(): void {
    this.#path.pop();
  }

  begin(gas: number): void {
    this.events.push({ what: "begin", path: [...this.#path], gas });
  }

  end(status: number, fault: number, gasUsed: number): void {
    const names = { status: STATUS_NAMES[status] as string, fault: FAULT_NAMES[fault] as string };
    this.events.push({ what: "end", path: [...this.#path], ...names, gasUsed });
  }

  call(what: "put" | "get", child: number, result: number, gas: number): void {
    this.events.push({ what, path: [...this.#path], child, result, gas });
  }

  grow(result: number, gas: number): void {
    this.events.push({ what: "grow", path: [...this.#path], result, gas });
  }

  item(item: number, fault: number, gasUsed: number, lost: () => readonly ByteRange[]): void {
    const name = FAULT_NAMES[fault] as string;
    this.events.push({ what: "item", path: [...this.#path], item, fault: name, gasUsed, lost: lost() });
  }
}
