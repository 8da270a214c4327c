/**
 * Admission: from the bytes of a module to a program that the kernel can run.
 *
 * check (the original bytes, all of them) → instrument. The result is a function of the bytes, of
 * REWRITER_VERSION and of the cost table, and so is a rejection: AdmissionError, whose reason, function and
 * offset name the first problem in file order. Nothing else is ever thrown for any input.
 */

import { createHash } from "node:crypto";
import { MAIL_BYTES } from "../../syscalls/abi.ts";
import { badArgument } from "../arguments.ts";
import { assert } from "../errors.ts";
import { CALL_DEPTH_BYTES, PAGE_BYTES } from "../limits.ts";
import { AdmissionError } from "./admission-error.ts";
import { Body } from "./decode/body.ts";
import { littleEndian } from "./decode/constant.ts";
import { canSuspend, type Module, typeOfFunction } from "./decode/model.ts";
import { decodeModule } from "./decode/module.ts";
import { F32, I32, I64, isReference } from "./decode/opcodes.ts";
import { Reader } from "./decode/reader.ts";
import { readBody } from "./decode/validate.ts";
import { knowTraps } from "./faults.ts";
import { assemble } from "./instrument/assemble.ts";
import type { Checks } from "./instrument/checks.ts";
import type { Defect } from "./instrument/defects.ts";
import {
  type Calls,
  callsOf,
  type Depths,
  type Graph,
  graphOf,
  ROOT_FRAME_BYTES,
} from "./instrument/depth.ts";
import { CODE_PRICES, FIRST_COSTS } from "./instrument/gas.ts";
import { globalBytes } from "./instrument/glue.ts";
import { withName } from "./source-map/names.ts";

export { AdmissionError };

/** Consensus: every change of what the rewriter makes, or of a cost, is a new version. */
export const REWRITER_VERSION = "12";

/** Of the batch variant, which is no consensus rule: its results are those of the sequential variant. */
export const BATCH_VERSION = "2";

/** An admitted program: plain data, can be posted to a worker. */
export interface Program {
  /** SHA-256 of `bytes`. */
  readonly hash: Uint8Array;
  /** The original module. */
  readonly bytes: Uint8Array;
  /** The instrumented module; its contract is layout.ts. */
  readonly code: Uint8Array;
  /** Exported functions of type (i64) -> i64; the position is the entry number. */
  readonly entries: readonly string[];
  /** In pages of 64 KiB; 0 and 0 for a program without memory. */
  readonly memory: { readonly initialPages: number; readonly maximumPages: number };
  /**
   * Memory below this address is state, above it private to an item of a batch; a multiple of 65536, at most
   * the initial memory.
   */
  readonly stateBytes: number;
  /** Active data segments, in order. */
  readonly data: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
  /** Initial contents of the AUX_GLOBALS area; its length is the area's length. */
  readonly globals: Uint8Array;
  /** Elements of its tables, and items of the segments that may fill them: an instance sets them up. */
  readonly tableElements: number;
  /** Bytes of the host that an instance takes at most, memories apart. */
  readonly instanceBytes: number;
  readonly hasStart: boolean;
  /** It imports ret or snapshot. */
  readonly suspends: boolean;
}

export interface Options {
  /** The cost table by which code is charged. Default: the first. */
  readonly costs?: string;
  /** What code checks itself. Default: what the engine does not show. */
  readonly checks?: Checks;
  /** A planted defect, for tests only. */
  readonly defect?: Defect;
  /** Receives the origin of the instrumented code. */
  readonly origins?: Origins;
}

/** Is called, by function, with places in the code written for it and in the original, in turn. */
export type Origins = (functionIndex: number, origins: readonly number[]) => void;

/** Which of the two variants to make: that for batches knows where state ends. */
interface Variant extends Options {
  readonly bound?: number;
}

/**
 * The name of a program: SHA-256 of its Wasm bytes, as PUT's part PROGRAM takes it.
 *
 * @throws UsageError (BAD_ARGUMENT)
 * @example
 * ```ts
 * const name = Buffer.from(programHash(await compileGuest("root.ts"))).toString("hex");
 * console.log(name === runtime.inspect([])?.program); // true
 * ```
 */
export function programHash(bytes: Uint8Array): Uint8Array {
  if (!(bytes instanceof Uint8Array)) throw badArgument("program", bytes, "a Uint8Array");
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

/**
 * The lowest address of static data that lies in a program's state, or in the usual inbox and outbox behind
 * it; null: there is none. Such a program is admitted, for state may begin with data; but an item's input is
 * written over the inbox and outbox, and `compileGuest` lets no data begin there.
 */
export function dataBelowBase({ stateBytes, data }: Pick<Program, "stateBytes" | "data">): number | null {
  if (stateBytes === 0) return null;
  const offsets = data.filter(({ bytes }) => bytes.length > 0).map(({ offset }) => offset);
  const lowest = Math.min(...offsets);
  return lowest < stateBytes + MAIL_BYTES ? lowest : null;
}

/**
 * Checks and instruments a program of any kind, as `Runtime.open` does.
 *
 * @throws AdmissionError (E_BAD_PROGRAM), with the reason and the offset in bytes; UsageError
 *   (ENGINE_UNSUPPORTED)
 * @example
 * ```ts
 * const program = admit(await compileGuest("root.ts"));
 * console.log(program.entries.includes("main"), program.memory.initialPages > 0); // true true
 * ```
 */
export function admit(bytes: Uint8Array, options: Options = {}): Program {
  try {
    return instrument(check(bytes), options);
  } catch (error) {
    throw withName(error, bytes);
  }
}

/**
 * The code of the batch variant of an admitted program, whose state is the memory below `bound`, a multiple
 * of 4096; its contract is in layout.ts. Null if a function of it would be too large: such a program runs
 * batches on its sequential variant only.
 */
export function instrumentForBatch(
  bytes: Uint8Array,
  bound: number,
  options: Options = {},
): Uint8Array | null {
  assert(bound % PAGE_BYTES === 0 && bound >= 0 && bound < 2 ** 32, "state ends where a page does");
  try {
    return instrument(check(bytes), { ...options, bound }).code;
  } catch (error) {
    if (isTooLarge(error)) return null;
    throw error;
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof AdmissionError && error.reason === "function-size";
}

/**
 * Checks and instruments a program that runs and returns, at once. Those that import ret or snapshot are
 * rejected.
 */
export function admitEntryProgram(bytes: Uint8Array, options: Options = {}): Program {
  try {
    const checked = check(bytes, (reader, module) => {
      if (canSuspend(module)) {
        const text = "Programs that import ret or snapshot can only be given when the runtime is opened";
        reader.fail("may-not-suspend", text, module.importsAt);
      }
    });
    return instrument(checked, options);
  } catch (error) {
    throw withName(error, bytes);
  }
}

export interface Checked {
  readonly bytes: Uint8Array;
  readonly module: Module;
  readonly calls: readonly (Calls | null)[];
}

/** Decodes and validates a whole module and collects its calls. */
export function check(
  bytes: Uint8Array,
  afterImports: (reader: Reader, module: Module) => void = () => {},
): Checked {
  // The caller may change its array; and a view of shared memory must not change under the decoder.
  const own = new Uint8Array(bytes);
  const reader = new Reader(own);
  const body = new Body(4096);
  const calls: (Calls | null)[] = [];
  const module = decodeModule(reader, {
    imports: (current) => afterImports(reader, current),
    body: (current, index) => {
      readBody(reader, current, index, body);
      calls[index] = callsOf(body);
    },
  });
  for (let index = 0; index < module.imports.length; index++) calls[index] = null;
  return { bytes: own, module, calls };
}

/** Function exports of type (i64) -> i64. An imported function is no entry. */
function entriesOf(module: Module): { name: string; functionIndex: number }[] {
  return module.exports.filter(({ functionIndex }) => {
    if (functionIndex < module.imports.length) return false;
    const { parameters, results } = typeOfFunction(module, functionIndex);
    return parameters.length === 1 && parameters[0] === I64 && results.length === 1 && results[0] === I64;
  });
}

function instrument(checked: Checked, options: Variant): Program {
  const { bytes, module, calls } = checked;
  const entries = entriesOf(module);
  const graph = graphOf(module, calls);
  rejectReferences(checked, graph);
  boundChain(checked, graph.depths);
  const memory = module.memories[0];
  const maximumPages = memory === undefined ? 0 : (memory.maximum ?? 65536);
  const code = assemble({
    source: bytes,
    module,
    entries: entries.map((entry) => entry.functionIndex),
    graph,
    bound: options.bound ?? null,
    origins: options.origins ?? null,
    price: priceOf(options),
    checks: options.checks ?? knowTraps().checks,
    defect: options.defect ?? null,
  });
  const tableElements =
    module.tables.reduce((sum, { minimum }) => sum + minimum, 0) +
    module.elements.reduce((sum, { items }) => sum + items.length, 0);
  return {
    hash: programHash(bytes),
    bytes,
    code,
    entries: entries.map((entry) => entry.name),
    memory: { initialPages: memory?.minimum ?? 0, maximumPages },
    stateBytes: module.stateBytes,
    data: module.data.flatMap((segment) =>
      segment.offset === null ? [] : [{ offset: segment.offset, bytes: segment.bytes.slice() }],
    ),
    globals: initialGlobals(module),
    tableElements,
    instanceBytes: instanceBytes(module, tableElements),
    hasStart: module.start !== null,
    suspends: canSuspend(module),
  };
}

/** What V8 takes was measured: 3 KiB, 15 bytes a function, 7 a segment, 21 an element of a table. */
function instanceBytes({ functions, data, globals }: Module, tableElements: number): number {
  return 16_384 + 16 * functions.length + 8 * data.length + 16 * globals.length + 24 * tableElements;
}

function priceOf({ costs = FIRST_COSTS }: Options): number {
  const price = CODE_PRICES[costs];
  assert(price !== undefined, "admit: a cost table that this build does not carry");
  return price;
}

/** A frame that is saved holds numbers. */
function rejectReferences({ module, calls }: Checked, { suspending }: Graph): void {
  calls.forEach((call, index) => {
    if (call === null || suspending.functions[index] === 0) return;
    if (!call.usesReferences && !typeOfFunction(module, index).results.some(isReference)) return;
    const text =
      "A function that may be suspended, in ret or snapshot, may have no references in parameters, " +
      "results, locals or operands";
    const body = module.bodies[index - module.imports.length];
    throw new AdmissionError("suspending-references", text, body?.start ?? 0, index);
  });
}

/** The chain of calls from an entry down to the first function that counts must fit by itself. */
function boundChain(checked: Checked, depths: Depths): void {
  const bytes = depths.root + ROOT_FRAME_BYTES;
  if (bytes <= CALL_DEPTH_BYTES || depths.deepest === null) return;
  const body = checked.module.bodies[depths.deepest - checked.module.imports.length];
  const text = `Calls below this function take ${bytes} bytes of frames: at most ${CALL_DEPTH_BYTES}`;
  throw new AdmissionError("call-depth", text, body?.start ?? 0, depths.deepest);
}

function initialGlobals(module: Module): Uint8Array {
  const mutable = module.globals.filter((global) => global.mutable);
  const area = new Uint8Array(mutable.reduce((sum, global) => sum + globalBytes(global.type), 0));
  let place = 0;
  for (const { type, initial } of mutable) {
    const narrow = type === I32 || type === F32;
    if (initial.kind === "number") {
      const value = narrow ? BigInt.asUintN(32, initial.value) : initial.value;
      area.set(littleEndian(value, narrow ? 4 : globalBytes(type)), place);
    }
    place += globalBytes(type);
  }
  return area;
}
