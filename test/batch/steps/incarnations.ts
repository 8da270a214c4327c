/**
 * Steps that make items behave differently from one incarnation to the next: the first three run on an input
 * in which other places stand, and validation lets none of them pass. What they left must vanish, and those
 * who read it must run again.
 */

import type { Steps } from "../../../runtime/batch/steps.ts";
import { steps as stall } from "./stall.ts";

const WRONG = 3;
const OPERATION_BYTES = 16;
/** A place is the first argument of an operation. */
const PLACE = 4;

export const steps: Steps = {
  ...stall,
  input(bytes, item, incarnation): void {
    if (incarnation >= WRONG) return;
    for (let at = PLACE; at + 4 <= bytes.length; at += OPERATION_BYTES) {
      bytes.writeUInt32LE((bytes.readUInt32LE(at) + 64 * (incarnation + 1) + item) >>> 0, at);
    }
  },
  verdict: (valid, _item, incarnation) => (incarnation < WRONG ? 0 : valid),
};
