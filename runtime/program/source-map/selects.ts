/**
 * Where a program has `select`: a branch of the sources that the optimiser has made an instruction that
 * computes both ways and takes one. Which of them counts, a counter of its own tells (counters.ts).
 */

import { check } from "../admit.ts";
import type { Body } from "../decode/body.ts";
import { canSuspend } from "../decode/model.ts";
import * as op from "../decode/opcodes.ts";
import { readBodies } from "../decode/validate.ts";

/** Byte offsets in the module: of the first instruction of a value, and of the last, which makes it. */
type Span = readonly [from: number, to: number];

/** One `select`: where it stands, and the value that it takes if its condition holds, and the other one. */
export interface Select {
  readonly offset: number;
  readonly taken: Span;
  readonly other: Span;
}

/** By function. Of a program that can suspend none: operands are not on the stack there at all times. */
export function selectsOf(bytes: Uint8Array): Map<number, readonly Select[]> {
  const { module } = check(bytes);
  const found = new Map<number, readonly Select[]>();
  if (canSuspend(module)) return found;
  readBodies(bytes, module, (body, index) => void found.set(index, selectsIn(body)));
  return found;
}

function selectsIn({ ops, at, consumer, length }: Body): Select[] {
  const starts = Int32Array.from({ length }, (_, place) => place);
  const operands = new Map<number, number[]>();
  for (let place = 0; place < length; place++) {
    const by = consumer[place] as number;
    if (by < 0) continue;
    starts[by] = Math.min(starts[by] as number, starts[place] as number);
    if (ops[by] !== op.SELECT && ops[by] !== op.SELECT_TYPED) continue;
    operands.set(by, [...(operands.get(by) ?? []), place]);
  }
  const span = (place: number): Span => [at[starts[place] as number] as number, at[place] as number];
  return [...operands].flatMap(([place, [taken, other, condition]]) =>
    taken === undefined || other === undefined || condition === undefined
      ? []
      : [{ offset: at[place] as number, taken: span(taken), other: span(other) }],
  );
}
