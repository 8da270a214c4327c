/** Looking at blocks and their states: what a runtime, and a reader of its store, have in common. */

import { badArgument } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import type { Rules } from "../image/rules.ts";
import { proveRange } from "../proof/prove.ts";
import type { ArchivedBlock } from "./archive.ts";
import { type Block, checkTarget } from "./block.ts";
import type { RetainedInput } from "./change.ts";
import { type Diff, type DiffOptions, diffLimits, diffProcesses } from "./diff.ts";
import { type ChildRange, inspectProcess, listChildren, type ProcessView, readProcess } from "./inspect.ts";
import type { Outline } from "./outline.ts";
import type { Side } from "./tables.ts";

export type { Outline, Side };

/** A range of the memory of the process at `path`, child numbers from the root. */
export interface MemoryRange {
  readonly path: readonly number[];
  readonly address: number;
  readonly length: number;
}

/** Blocks to look at: those of a `Runtime`, or, through a `Reader`, those that it keeps in a store. */
export abstract class Chain {
  /** Id of the genesis, in hex: all that replicas must share to make the same blocks. */
  abstract get genesis(): string;

  /** Id of the block of another chain with whose state this one began, in hex; null: it began with a root. */
  abstract get origin(): string | null;

  /** The latest block. */
  abstract get head(): Block;

  /** The blocks of this chain that are retained, ascending; the last is the head. */
  abstract blocks(): readonly Block[];

  /**
   * All blocks that are retained, also of side branches, and those that are pinned: by height, the older of
   * one height first.
   */
  abstract retained(): readonly Block[];

  /** Every retained block without its data, and what cannot be read. @internal */
  abstract outline(): Outline;

  /** A retained block by its id. @internal */
  blockOf(id: string): Block {
    const found = this.retained().find((block) => block.id === id);
    if (found !== undefined) return found;
    throw new UsageError("NOT_RETAINED", `block ${id} is not retained`, { id });
  }

  /** The block on which another was made, and from which that can be executed again. @internal */
  parentOf({ height, parent }: Pick<Block, "height" | "parent">): Block {
    if (height > 0) {
      const found = this.retained().find(({ id }) => id === parent);
      if (found !== undefined) return found;
      const text = `block ${height - 1}, on which block ${height} was made, is not retained any more`;
      throw new UsageError("NOT_RETAINED", text, { height: height - 1 });
    }
    throw new UsageError("NOT_RETAINED", "block 0 has no parent to execute it from: take a later one");
  }

  /** Shows the state of a block, by default of the latest, for as long as `look` takes. @internal */
  abstract withState<T>(block: number | Block | undefined, look: (state: Side) => T): T;

  /**
   * What the latest block or another retained one was made from, so that `produce` of the same makes it
   * again. Block 0 was made from nothing: its metadata is empty.
   *
   * @throws UsageError (NOT_RETAINED)
   * @example
   * ```ts
   * const block = await runtime.produce(Uint8Array.of(1, 2), { gasLimit: 1_000_000 });
   * const { metadata, gasLimit } = runtime.input(block);
   * console.log(metadata.join(), gasLimit); // 1,2 1000000
   * const again = await runtime.reorg({ to: 0, blocks: [runtime.input(block)] });
   * console.log(again.head.id === block.id); // true
   * ```
   */
  abstract input(block?: number | Block): RetainedInput;

  /**
   * The rules in force in the latest block or another retained one: those by which the next runs, unless it
   * changes them.
   *
   * @throws UsageError (NOT_RETAINED)
   * @example
   * ```ts
   * await runtime.produce(Uint8Array.of(1), { rules: { gasLimit: 5_000_000 } });
   * console.log(runtime.rules().gasLimit, runtime.rules(0).gasLimit); // 5000000 300000000
   * ```
   */
  abstract rules(block?: number | Block): Rules;

  /**
   * The Wasm bytes of a program that the rules of a retained block name.
   *
   * @throws UsageError (NO_PROGRAM)
   * @example
   * ```ts
   * const { program } = runtime.inspect([]);
   * console.log(Buffer.from(programHash(runtime.programBytes(program))).toString("hex") === program); // true
   * ```
   */
  abstract programBytes(program: string): Uint8Array;

  /**
   * A block that is kept without its state, with what it was made from: one of this chain by its height, or
   * any by its id. Null if the option "archiveBlocks" did not keep it, or it has not left the chain yet.
   *
   * @throws UsageError (BAD_ARGUMENT)
   * @example
   * ```ts
   * const block = await runtime.produce(Uint8Array.of(1, 2));
   * console.log(await runtime.archived(block.id)); // null
   * ```
   */
  abstract archived(target: number | string): Promise<ArchivedBlock | null>;

  /**
   * What the id of the latest block or another retained one is the hash of: 242 bytes, from which
   * With it `verifyHeader`, of this package or of `stillpoint/proof`, gets the block's root from its id.
   *
   * @throws UsageError (NOT_RETAINED)
   * @example
   * ```ts
   * const { root } = verifyHeader(runtime.head.id, runtime.blockHeader());
   * console.log(root === runtime.head.root); // true
   * ```
   */
  abstract blockHeader(block?: number | Block): Uint8Array;

  /**
   * What the process at `path` (child numbers from the root; empty: the root) looks like in the latest block
   * or another retained one, null if there is none.
   *
   * @throws UsageError (NOT_RETAINED)
   * @example
   * ```ts
   * const root = runtime.inspect([]);
   * console.log(root.status, root.memoryBytes, root.children);
   * console.log(runtime.inspect([], 0).hash === runtime.blocks()[0].root); // true
   * ```
   */
  inspect(path: readonly number[], block?: number | Block): ProcessView | null {
    return this.withState(block, ({ heap, ref }) => inspectProcess(heap, ref, path));
  }

  /**
   * Numbers of the children of the process at `path`, ascending, as of the latest block or another retained
   * one: at most `count`, from the number `from` on. It costs what it lists.
   *
   * @throws UsageError (NO_PROCESS, NOT_RETAINED, BAD_OPTION)
   * @example
   * ```ts
   * for (let from = 0; ; ) {
   *   const part = runtime.children([], { from, count: 100 });
   *   console.log(part.length); // 0
   *   if (part.length < 100) break;
   *   from = part.at(-1) + 1;
   * }
   * ```
   */
  children(path: readonly number[], range: ChildRange = {}, block?: number | Block): number[] {
    return this.withState(block, ({ heap, ref }) => listChildren(heap, ref, path, range));
  }

  /**
   * Copies `length` bytes at `address` of the memory of the process at `path`, as of the latest block or
   * another retained one.
   *
   * @throws UsageError (NO_PROCESS, RANGE, NOT_RETAINED)
   */
  read(path: readonly number[], address: number, length: number, block?: number | Block): Uint8Array {
    return this.withState(block, ({ heap, ref }) => readProcess(heap, ref, path, address, length));
  }

  /**
   * As `read`, for many ranges of one block.
   *
   * @throws UsageError (NO_PROCESS, RANGE, NOT_RETAINED, BAD_ARGUMENT): nothing is read
   * @example
   * ```ts
   * const ranges = [8, 1024].map((address) => ({ path: [], address, length: 8 }));
   * console.log(runtime.readMany(ranges).map(({ length }) => length).join()); // 8,8
   * ```
   */
  readMany(ranges: readonly MemoryRange[], block?: number | Block): Uint8Array[] {
    checkRanges(ranges);
    return this.withState(block, ({ heap, ref }) =>
      ranges.map(({ path, address, length }) => readProcess(heap, ref, path, address, length)),
    );
  }

  /**
   * A proof of what `length` bytes at `address` of the process at `path` are, in the latest block or another
   * retained one; or that there is no such process, or that the range is not inside its memory. Whoever knows
   * the block's `root` verifies it with `verify`, of this package or of `stillpoint/proof`. It is about 1 KiB
   * for each level of the tree, and the pages that the range lies in.
   *
   * @throws UsageError (BAD_ARGUMENT, NOT_RETAINED)
   * @example
   * ```ts
   * const proof = runtime.prove([], 1024, 8);
   * const statement = verify(runtime.head.root, proof);
   * assert.deepEqual(statement.bytes, runtime.read([], 1024, 8));
   * ```
   */
  prove(path: readonly number[], address: number, length: number, block?: number | Block): Uint8Array {
    return this.withState(block, ({ heap, ref }) => proveRange(heap, ref, path, address, length));
  }

  /**
   * As `prove`, for many ranges of one block: a proof of each.
   *
   * @throws UsageError (BAD_ARGUMENT, NOT_RETAINED)
   * @example
   * ```ts
   * const ranges = [[], [3]].map((path) => ({ path, address: 1024, length: 8 }));
   * const proofs = runtime.proveMany(ranges);
   * console.log(proofs.map((proof) => verify(runtime.head.root, proof).absent).join()); // ,process
   * ```
   */
  proveMany(ranges: readonly MemoryRange[], block?: number | Block): Uint8Array[] {
    checkRanges(ranges);
    return this.withState(block, ({ heap, ref }) =>
      ranges.map(({ path, address, length }) => proveRange(heap, ref, path, address, length)),
    );
  }

  /**
   * What differs between two retained blocks: processes, and ranges of their memories. Costs what differs,
   * not what there is.
   *
   * @throws UsageError (NOT_RETAINED, BAD_ARGUMENT, BAD_OPTION)
   * @example
   * ```ts
   * const before = runtime.head;
   * const after = await runtime.produce(Uint8Array.of(7));
   * for (const difference of runtime.diff(before, after).differences) {
   *   if (difference.kind === "memory") console.log(difference.path, difference.address, difference.length);
   * }
   * ```
   */
  diff(a: number | Block, b: number | Block, options: DiffOptions = {}): Diff {
    const limits = diffLimits(options);
    checkTarget(a);
    checkTarget(b);
    return this.withState(a, (left) => this.withState(b, (right) => diffProcesses(left, right, limits)));
  }
}

function checkRanges(ranges: readonly MemoryRange[]): void {
  const isRange = (range: unknown): boolean => typeof range === "object" && range !== null;
  if (Array.isArray(ranges) && ranges.every(isRange)) return;
  throw badArgument("ranges", ranges, "a list of objects with path, address and length");
}
