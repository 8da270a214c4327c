/**
 * From what an activation threw to a fault code. Engines word their traps differently, and each engine from
 * version to version. So this one is asked: a module that traps in every way shows its texts. SpiderMonkey
 * has one for an index of call_indirect and for an address, one for quotients and for conversions that do not
 * fit: there instrumented code checks itself what the text does not tell. What is not recognised (RangeError
 * of the native stack, CompileError) is no guest-visible result but an error of the host.
 */

import {
  FAULT_BAD_CONVERSION,
  FAULT_BAD_INDIRECT_CALL,
  FAULT_DIVISION_BY_ZERO,
  FAULT_INTEGER_OVERFLOW,
  FAULT_MEMORY_BOUNDS,
  FAULT_NONE,
  FAULT_UNREACHABLE,
} from "../../syscalls/abi.ts";
import { UsageError } from "../errors.ts";
import type { Checks } from "./instrument/checks.ts";
import { AUX_FAULT } from "./layout.ts";

/** What each function of the module does, and the fault that it is. Bounds of tables guests check. */
const TRAPS: Readonly<Record<string, number>> = {
  unreachable: FAULT_UNREACHABLE,
  load: FAULT_MEMORY_BOUNDS,
  fill: FAULT_MEMORY_BOUNDS,
  null: FAULT_BAD_INDIRECT_CALL,
  signature: FAULT_BAD_INDIRECT_CALL,
  index: FAULT_BAD_INDIRECT_CALL,
  divide: FAULT_DIVISION_BY_ZERO,
  remainder: FAULT_DIVISION_BY_ZERO,
  overflow: FAULT_INTEGER_OVERFLOW,
  nan: FAULT_BAD_CONVERSION,
  large: FAULT_BAD_CONVERSION,
};

/** Traps whose text may be that of another one, if code checks for one of them: the text means the other. */
const BLURRED: Readonly<Record<string, { with: number; means: number; check: keyof Checks }>> = {
  index: { with: FAULT_MEMORY_BOUNDS, means: FAULT_MEMORY_BOUNDS, check: "index" },
  large: { with: FAULT_INTEGER_OVERFLOW, means: FAULT_BAD_CONVERSION, check: "overflow" },
};

/** The module, of the text in test/program/traps.wat. */
const MODULE =
  "AGFzbQEAAAABCAJgAABgAX4AAw0MAQAAAAAAAAAAAAAABAQBcAACBQMBAAEHZgsLdW5yZWFjaGFibGUAAQRsb2FkAAIEZmlsbAAD" +
  "BG51bGwABAlzaWduYXR1cmUABQVpbmRleAAGBmRpdmlkZQAHCXJlbWFpbmRlcgAICG92ZXJmbG93AAkDbmFuAAoFbGFyZ2UACwkH" +
  "AQBBAQsBAApwDAIACwMAAAsIAEF/KAIAGgsLAEF/QQBBAvwLAAsHAEEAEQAACwcAQQERAAALBwBBAhEAAAsIAEEBQQBuGgsIAEIB" +
  "QgCBGgsMAEGAgICAeEF/bRoLDQBEAAAAAAAA+H+qGgsNAEQAAAAAAADwf7EaCw==";

/** The module that traps. @internal */
export const trapModule = (): Buffer<ArrayBuffer> => Buffer.from(MODULE, "base64");

/** Its functions by what they do. @internal */
export function trapping(): Record<string, () => void> {
  return new WebAssembly.Instance(new WebAssembly.Module(trapModule())).exports as never;
}

/** What an engine shows of its traps. @internal */
export interface Shown {
  /** Faults by texts. */
  readonly texts: ReadonlyMap<string, number>;
  /** What they do not tell: instrumented code checks that itself. */
  readonly checks: Checks;
}

/**
 * The engine's texts by running `traps`.
 *
 * @throws UsageError ENGINE_UNSUPPORTED if they do not distinguish the faults
 * @internal
 */
export function learnTexts(traps: Readonly<Record<string, () => void>>): Shown {
  const texts = new Map<string, number>();
  const checks = { index: false, overflow: false };
  for (const [name, fault] of Object.entries(TRAPS)) {
    const thrown = thrownBy(traps[name] as () => void);
    const text = thrown instanceof WebAssembly.RuntimeError ? textOf(thrown) : null;
    const known = text === null ? undefined : texts.get(text);
    const blurred = known === undefined ? undefined : BLURRED[name];
    if (text !== null && blurred !== undefined && known === blurred.with) {
      checks[blurred.check] = true;
      texts.set(text, blurred.means);
      continue;
    }
    if (text === null || (known !== undefined && known !== fault)) {
      const why = `this engine shows "${name}" as ${text === null ? "no trap" : `"${text}"`}`;
      const cure = "so faults of programs cannot be distinguished: use Node 24 or 26";
      throw new UsageError("ENGINE_UNSUPPORTED", `${why}, ${cure}`, { trap: name, text });
    }
    texts.set(text, fault);
  }
  return { texts, checks };
}

function thrownBy(trap: () => void): unknown {
  try {
    trap();
  } catch (error) {
    return error;
  }
  return null;
}

/** What an engine says about a trap; JavaScriptCore adds the expression that was evaluated. */
function textOf({ message }: WebAssembly.RuntimeError): string {
  return message.replace(/ \(evaluating .*/s, "");
}

let shown: Shown | null = null;

/** Makes sure that the engine's traps are known; costs a millisecond, once a thread. @throws UsageError */
export function knowTraps(): Shown {
  shown ??= learnTexts(trapping());
  return shown;
}

/**
 * The fault of an activation that threw `error`; `aux` is its aux memory. Null: the host's own error, to be
 * thrown on.
 */
export function faultOf(error: unknown, aux: Int32Array): number | null {
  if (!(error instanceof WebAssembly.RuntimeError)) return null;
  const injected = aux[AUX_FAULT >> 2] as number;
  if (injected !== FAULT_NONE) return injected;
  return knowTraps().texts.get(textOf(error)) ?? null;
}
