/**
 * Damaged modules: the decoder must accept only what V8 accepts, refuse V8's only for a named reason, and
 * throw nothing else.
 */

import { INVALID_REASONS, type Reason } from "../../runtime/program/admission-error.ts";
import { AdmissionError, admitEntryProgram } from "../../runtime/program/admit.ts";
import type { Random } from "./random.ts";

const INVALID: ReadonlySet<Reason> = new Set(INVALID_REASONS);

export function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let out = bytes.slice();
  for (let count = 1 + random.below(3); count > 0; count--) {
    const at = 8 + random.below(Math.max(1, out.length - 8));
    switch (random.below(6)) {
      case 0:
        out[at] = random.next();
        break;
      case 1:
        out[at] = (out[at] as number) ^ (1 << random.below(8));
        break;
      case 2:
        out[at] = (out[at] as number) + (random.chance(50) ? 1 : -1);
        break;
      case 3:
        out = out.slice(0, at);
        break;
      case 4: {
        const from = 8 + random.below(Math.max(1, out.length - 8));
        out.set(out.slice(from, from + 1 + random.below(6)).subarray(0, out.length - at), at);
        break;
      }
      default:
        out[at] = random.pick([0x00, 0x0b, 0x7f, 0x7b, 0x40, 0xfd, 0xfc, 0x1a, 0x20, 0x41, 0xff, 0x80]);
    }
    if (out.length < 10) return out;
  }
  return out;
}

/**
 * What our verdict and V8's disagree about, or null. Ours may be stricter, for a reason that is a feature or
 * a limit.
 */
export function disagreement(bytes: Uint8Array): string | null {
  const valid = WebAssembly.validate(bytes as BufferSource);
  try {
    const program = admitEntryProgram(bytes);
    if (!valid) return "admitted, but V8 finds it invalid";
    if (!WebAssembly.validate(program.code as BufferSource))
      return "admitted, but the instrumented module is invalid";
    return null;
  } catch (error) {
    if (!(error instanceof AdmissionError)) return `threw ${(error as Error).stack}`;
    if (error.offset < 0 || error.offset > bytes.length) return `offset ${error.offset} of ${bytes.length}`;
    if (valid && INVALID.has(error.reason)) return `V8 finds it valid: ${error.message}`;
    return null;
  }
}
