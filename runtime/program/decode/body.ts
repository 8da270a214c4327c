/**
 * A function body as validate.ts leaves it for the rewriter: the instructions that can be reached, in order,
 * one entry each in parallel arrays, and for every value which instruction made it and which one consumes it.
 */

import { OPERANDS_LIMIT } from "../../limits.ts";

/**
 * A block's type: no parameters and results, one result, or a type index. Encoded as in the binary format
 * (s33).
 */
export const EMPTY_BLOCK = -64;
/**
 * No single instruction made this value, or control flow takes it: a parameter, a block's result or operand.
 */
export const NOBODY = -1;

const NONE = new Uint8Array(0);

export interface Run {
  count: number;
  readonly type: number;
}

/** Appends to runs, of which no two in a row have the same type. */
export function addRun(runs: Run[], type: number, count: number): void {
  const last = runs[runs.length - 1];
  if (last !== undefined && last.type === type) last.count += count;
  else if (count > 0) runs.push({ type, count });
}

export class Body {
  length = 0;
  /** Opcode, as numbered in opcodes.ts. */
  ops: Uint16Array;
  /**
   * First immediate: index, label depth, block type, alignment, i32 constant, or the offset of a literal in
   * the source.
   */
  a: Int32Array;
  /** Second immediate: memory offset, table; 1 for a constant that is, or holds in some shape, a NaN. */
  b: Int32Array;
  /** Offset in the source. */
  at: Int32Array;
  /** The instruction that takes this one's (last) result, or NOBODY. */
  consumer: Int32Array;
  /** The instructions that made the first two operands, or NOBODY: of those with a fixed signature. */
  first: Int32Array;
  second: Int32Array;
  labels: number[][] = [];
  wide: bigint[] = [];
  /** Types of parameters and locals. */
  locals: Uint8Array = NONE;
  parameters = 0;
  /** The locals behind the parameters, as runs of equal types: many locals take few bytes in a module. */
  runs: Run[] = [];
  /** Greatest height of the operand stack, in slots of 8 bytes. */
  height = 0;
  /** By place on the operand stack: a bit for each type of number that was ever there, I32 the lowest. */
  readonly kinds: Uint8Array = new Uint8Array(OPERANDS_LIMIT + 1);
  /** Some parameter, local or operand is a reference. */
  usesReferences = false;
  /** Functions called directly. */
  callees = new Set<number>();
  /** Types called indirectly. */
  indirect = new Set<number>();

  constructor(capacity: number) {
    this.ops = new Uint16Array(capacity);
    this.a = new Int32Array(capacity);
    this.b = new Int32Array(capacity);
    this.at = new Int32Array(capacity);
    this.consumer = new Int32Array(capacity);
    this.first = new Int32Array(capacity);
    this.second = new Int32Array(capacity);
  }

  /** Empties the body and makes room for `capacity` instructions. */
  reset(capacity: number): void {
    if (capacity > this.ops.length) Object.assign(this, new Body(capacity * 2));
    this.length = 0;
    this.labels = [];
    this.wide = [];
    this.kinds.fill(0, 0, this.height);
    this.height = 0;
    this.usesReferences = false;
    this.callees = new Set();
    this.indirect = new Set();
  }
}
