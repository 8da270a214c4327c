/**
 * A function body as a graph of pieces of straight code, on which gas.ts makes its plan.
 *
 * A piece is entered at its first instruction only and left after its last. The function and each of its
 * loops is a *region*. A way leads from a piece to a later one of the same region. Besides, a branch back to
 * the header of the region's loop *turns*, one to anywhere outside of the region *leaves*, and a trap does
 * neither. From outside, a loop is one step of the piece that enters it, which has the ways by which the loop
 * is left.
 *
 *     block                      region of the function      region of the loop
 *       A  loop
 *            B  br_if 0          A ──► C ──► D               B ──► B'
 *            B' br_if 1          └───────────▲               B turns
 *          end                                               B' leaves, by the branch and by its end
 *       C
 *     end
 *     D
 *
 * All ways lead forward, so in the order of their places the pieces are sorted topologically. There is at
 * most one way for each label of a branch and for each `if`, `else` and `end`: a branch out of many nested
 * loops is one way, of the piece that enters the outermost of them. Code that cannot be reached is in no
 * piece.
 */

import type { Body } from "../decode/body.ts";
import * as op from "../decode/opcodes.ts";

/** In place of a piece: this code cannot be reached. */
const NONE = -1;

/** The pieces of one body, in order of their places: parallel arrays, by number of the piece. */
export class Pieces {
  /** The place of its first instruction in the body. */
  readonly places: number[] = [];
  /** How many instructions it has, not counting those that only name a place, and their cost by the table. */
  readonly instructions: number[] = [];
  readonly weights: number[] = [];
  /** Whether it is the first piece of its region. */
  readonly opens: boolean[] = [];
  readonly inLoop: boolean[] = [];
  /** Whether it turns, and whether it leaves, by one of its branches or where it ends. */
  readonly turns: boolean[] = [];
  readonly leaves: boolean[] = [];
  /** The pieces that its ways lead to. */
  readonly ways: number[][] = [];

  get count(): number {
    return this.places.length;
  }
}

interface Frame {
  readonly opcode: number;
  /** How many loops are open around it. */
  readonly loops: number;
  /** The piece that ends in the `loop` or `if`. */
  readonly from: number;
  /** Pieces from which a way leads behind the `end`. */
  readonly joining: number[];
  hasElse: boolean;
}

interface OpenLoop {
  /** The piece that enters it. */
  readonly from: number;
  /** The outermost region that a branch in it leads to. The function's is 0, that of its first loop 1. */
  reaches: number;
}

/**
 * Whether the instruction only names a place. No machine code is made for it, whatever a block takes and
 * returns: measured in both tiers, 0.001 ns.
 */
function isPlace(opcode: number): boolean {
  return opcode === op.BLOCK || opcode === op.ELSE || opcode === op.END || opcode === op.NOP;
}

export function piecesOf(body: Body): Pieces {
  return new Builder(body).pieces;
}

class Builder {
  readonly pieces = new Pieces();
  readonly #frames: Frame[] = [];
  readonly #loops: OpenLoop[] = [];
  #current = NONE;

  constructor(body: Body) {
    this.#begin(0, true);
    for (let place = 0; place < body.length; place++) {
      if (this.#current !== NONE) this.#count(body.ops[place] as number);
      this.#step(body, place);
    }
  }

  #begin(place: number, opens = false): number {
    const pieces = this.pieces;
    this.#current = pieces.count;
    pieces.places.push(place);
    pieces.instructions.push(0);
    pieces.weights.push(0);
    pieces.opens.push(opens);
    pieces.inLoop.push(this.#loops.length > 0);
    pieces.turns.push(false);
    pieces.leaves.push(false);
    pieces.ways.push([]);
    return this.#current;
  }

  #count(opcode: number): void {
    const { instructions, weights } = this.pieces;
    instructions[this.#current] = (instructions[this.#current] as number) + (isPlace(opcode) ? 0 : 1);
    weights[this.#current] = (weights[this.#current] as number) + (op.GAS[opcode] as number);
  }

  #step(body: Body, place: number): void {
    const opcode = body.ops[place] as number;
    const next = place + 1;
    switch (opcode) {
      case op.BLOCK:
        return this.#open(opcode);
      case op.LOOP: {
        this.#open(opcode);
        if (this.#current === NONE) return;
        this.#loops.push({ from: this.#current, reaches: this.#loops.length + 1 });
        this.#begin(next, true);
        return;
      }
      case op.IF: {
        this.#open(opcode);
        if (this.#current === NONE) return;
        return this.#follow([this.#current], next);
      }
      case op.ELSE: {
        const frame = this.#frames[this.#frames.length - 1] as Frame;
        frame.hasElse = true;
        if (this.#current !== NONE) frame.joining.push(this.#current);
        if (frame.from !== NONE) this.#follow([frame.from], next);
        return;
      }
      case op.END:
        return this.#end(next);
      case op.BR_IF:
        if (this.#current === NONE) return;
        this.#branch(body.a[place] as number);
        return this.#follow([this.#current], next);
      case op.BR:
        if (this.#current !== NONE) this.#branch(body.a[place] as number);
        this.#current = NONE;
        return;
      case op.BR_TABLE:
        if (this.#current !== NONE)
          for (const label of body.labels[body.a[place] as number] as number[]) this.#branch(label);
        this.#current = NONE;
        return;
      case op.RETURN:
        if (this.#current !== NONE) this.#branch(this.#frames.length);
        this.#current = NONE;
        return;
      case op.UNREACHABLE:
        this.#current = NONE;
        return;
    }
  }

  #open(opcode: number): void {
    const { length } = this.#loops;
    this.#frames.push({ opcode, loops: length, from: this.#current, joining: [], hasElse: false });
  }

  /** Begins the piece that all of `from` lead to. */
  #follow(from: readonly number[], place: number): void {
    const to = this.#begin(place);
    for (const piece of from) (this.pieces.ways[piece] as number[]).push(to);
  }

  #end(next: number): void {
    const frame = this.#frames.pop();
    if (frame === undefined) {
      if (this.#current !== NONE) this.#branch(0);
    } else if (frame.opcode === op.LOOP) {
      this.#endLoop(frame, next);
    } else {
      const { joining } = frame;
      if (frame.opcode === op.IF && !frame.hasElse && frame.from !== NONE) joining.push(frame.from);
      if (joining.length === 0) return;
      if (this.#current !== NONE) joining.push(this.#current);
      this.#follow(joining, next);
    }
  }

  #endLoop(frame: Frame, next: number): void {
    if (frame.from === NONE) return;
    const falls = this.#current !== NONE;
    if (falls) this.pieces.leaves[this.#current] = true;
    const { reaches } = this.#loops.pop() as OpenLoop;
    this.#reach(frame.from, reaches);
    if (falls) this.#follow([frame.from], next);
  }

  /** Notes that a branch or a loop of the innermost region, in that piece, leads to a region. */
  #reach(piece: number, region: number): void {
    const loop = this.#loops[this.#loops.length - 1];
    if (loop === undefined || region >= this.#loops.length) return;
    this.pieces.leaves[piece] = true;
    loop.reaches = Math.min(loop.reaches, region);
  }

  #branch(label: number): void {
    const { turns, leaves } = this.pieces;
    const frame = this.#frames[this.#frames.length - 1 - label];
    if (frame === undefined) {
      leaves[this.#inRegion(0)] = true;
      this.#reach(this.#current, 0);
      return;
    }
    const region = frame.opcode === op.LOOP ? frame.loops + 1 : frame.loops;
    const from = this.#inRegion(region);
    if (frame.opcode === op.LOOP) turns[from] = true;
    else frame.joining.push(from);
    this.#reach(this.#current, region);
  }

  /** The piece that is being read, as seen from that region: from around a loop, the one that enters it. */
  #inRegion(region: number): number {
    return this.#loops[region]?.from ?? this.#current;
  }
}
