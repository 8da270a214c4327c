/**
 * Lets a program stand still in RET and SNAPSHOT: binaryen's Asyncify, with its stack in a memory of its own.
 *
 * binaryen sees an admitted module only, without custom sections, start function and foreign export names:
 * exports are replaced by numbered ones, so that names of the program cannot meet Asyncify's. The memory that
 * Asyncify adds becomes the aux memory of the instrumented module.
 */

import { assert } from "../../errors.ts";
import { SUSPENDING_EXPRESSION_LIMIT } from "../../limits.ts";
import { AdmissionError } from "../admission-error.ts";
import type { Unwindable } from "../admit.ts";
import { Body, NOBODY } from "../decode/body.ts";
import type { Module } from "../decode/model.ts";
import { decodeModule } from "../decode/module.ts";
import { BLOCK, END, GLOBAL_GET, IF, LOOP } from "../decode/opcodes.ts";
import { Reader } from "../decode/reader.ts";
import { readBody } from "../decode/validate.ts";
import { Writer } from "../decode/writer.ts";

const START = "start";
const ASYNCIFY = {
  startUnwind: "asyncify_start_unwind",
  stopUnwind: "asyncify_stop_unwind",
  startRewind: "asyncify_start_rewind",
  stopRewind: "asyncify_stop_rewind",
  getState: "asyncify_get_state",
} as const;

/** Makes an admitted module unwindable. Deterministic: no option of the host reaches binaryen. */
export async function asyncify(
  bytes: Uint8Array,
  module: Module,
  entries: readonly { functionIndex: number }[],
): Promise<Unwindable> {
  rejectUnfit(bytes, module);
  const after = await runPass(prepare(bytes, module, entries), module.importsAt);
  return inspect(after, module, entries.length);
}

/** How deep expressions and the blocks around them nest, at most. */
function expressionDepth(body: Body): number {
  const depths = new Int32Array(body.length);
  const inside: number[] = [];
  let deepest = 0;
  let within = 0; // the deepest so far in the current block
  for (let place = 0; place < body.length; place++) {
    const opcode = body.ops[place];
    if (opcode === BLOCK || opcode === LOOP || opcode === IF) {
      inside.push(within);
      within = 0;
    } else if (opcode === END && inside.length > 0) {
      depths[place] = within;
      within = inside.pop() as number;
    }
    const depth = (depths[place] as number) + 1;
    within = Math.max(within, depth);
    deepest = Math.max(deepest, depth);
    const consumer = body.consumer[place] as number;
    if (consumer !== NOBODY) depths[consumer] = Math.max(depths[consumer] as number, depth);
  }
  return deepest;
}

/**
 * binaryen is recursive: a program of very deep expressions exhausts its stack, and that ends its whole
 * instance, so the next program gets a new one.
 */
async function runPass(before: Uint8Array, offset: number): Promise<Uint8Array> {
  const { default: binaryen } = (await import(
    generation === 0 ? "binaryen" : freshAddress()
  )) as typeof import("binaryen");
  try {
    const instance = binaryen.readBinary(before);
    const F = binaryen.Features;
    instance.setFeatures(
      F.MutableGlobals |
        F.NontrappingFPToInt |
        F.SIMD128 |
        F.BulkMemory |
        F.SignExt |
        F.ReferenceTypes |
        F.Multivalue |
        F.MultiMemory |
        F.BulkMemoryOpt |
        F.CallIndirectOverlong,
    );
    binaryen.setOptimizeLevel(2);
    binaryen.setShrinkLevel(0);
    binaryen.clearPassArguments();
    binaryen.setPassArgument("asyncify-imports", "stillpoint.ret,stillpoint.snapshot");
    binaryen.setPassArgument("asyncify-in-secondary-memory", "true");
    instance.runPasses(["asyncify"]);
    const after = new Uint8Array(instance.emitBinary());
    binaryen.clearPassArguments();
    instance.dispose();
    return after;
  } catch (error) {
    generation++;
    const why = (error as Error)?.message ?? error;
    const text = `binaryen cannot make the program stand still: ${why}; make its largest functions smaller`;
    throw new AdmissionError("not-suspendable", text, offset);
  }
}

let generation = 0;

function freshAddress(): string {
  return `${import.meta.resolve("binaryen")}?${generation}`;
}

/** References cannot be kept in Asyncify's stack, and binaryen cannot take expressions of any depth. */
function rejectUnfit(bytes: Uint8Array, module: Module): void {
  const reader = new Reader(bytes);
  const body = new Body(4096);
  module.bodies.forEach((range, position) => {
    const index = module.imports.length + position;
    reader.offset = range.start;
    reader.end = range.end;
    readBody(reader, module, index, body);
    const depth = expressionDepth(body);
    if (depth > SUSPENDING_EXPRESSION_LIMIT) {
      const limit = `at most ${SUSPENDING_EXPRESSION_LIMIT} are allowed in a program that stands still`;
      const text = `Expressions nested ${depth} deep: ${limit}`;
      throw new AdmissionError("expression-depth", text, range.start, index);
    }
    if (!body.usesReferences) return;
    const text =
      "A program that imports ret or snapshot may hold no references in parameters, locals or operands";
    throw new AdmissionError("suspending-references", text, range.start, index);
  });
}

/** The module as binaryen gets it: one memory, numbered exports, no start section, no custom sections. */
function prepare(
  bytes: Uint8Array,
  module: Module,
  entries: readonly { functionIndex: number }[],
): Uint8Array {
  const out = new Writer(bytes.length + 1024);
  out.bytes(bytes.subarray(0, 8));
  const exports = new Writer();
  const names: [string, number][] = entries.map(({ functionIndex }, number) => [`${number}`, functionIndex]);
  if (module.start !== null) names.push([START, module.start]);
  exports.u32(names.length);
  for (const [name, index] of names) {
    exports.name(name);
    exports.u8(0);
    exports.u32(index);
  }
  const memory = new Writer();
  const { minimum, maximum } = module.memories[0] ?? { minimum: 0, maximum: 0 };
  memory.u32(1);
  memory.u8(maximum === null ? 0 : 1);
  memory.u32(minimum);
  if (maximum !== null) memory.u32(maximum);

  const reader = new Reader(bytes, 8);
  const sections = new Map<number, Uint8Array>();
  while (reader.offset < reader.end) {
    const id = reader.u8();
    const size = reader.u32();
    const start = reader.skip(size);
    if (id !== 0) sections.set(id, bytes.subarray(start, start + size));
  }
  sections.set(5, memory.view());
  sections.set(7, exports.view());
  sections.delete(8);
  for (const id of [1, 2, 3, 4, 5, 6, 7, 9, 12, 10, 11]) {
    const content = sections.get(id);
    if (content === undefined) continue;
    out.u8(id);
    out.u32(content.length);
    out.bytes(content);
  }
  return out.finish();
}

/** Finds in binaryen's result what the rewriter needs, and checks that the rest is as it was. */
function inspect(bytes: Uint8Array, original: Module, entryCount: number): Unwindable {
  const reader = new Reader(bytes);
  const body = new Body(4096);
  const module = decodeModule(reader, "asyncified", { body: () => {} });
  const place = new Map(module.exports.map(({ name, functionIndex }) => [name, functionIndex]));
  const named = (name: string): number => {
    const index = place.get(name);
    assert(index !== undefined, `Asyncify made no export "${name}"`);
    return index;
  };
  assert(module.imports.join() === original.imports.join(), "Asyncify changed the imports");
  assert(module.memories.length === 2, "Asyncify made no memory of its own");
  assert(module.data.length === original.data.length, "Asyncify changed the data segments");
  assert(module.globals.length === original.globals.length + 2, "Asyncify's globals are not there");
  original.globals.forEach((global, index) => {
    const found = module.globals[index];
    assert(
      found?.type === global.type && found.mutable === global.mutable,
      "Asyncify moved the program's globals",
    );
  });
  const getState = named(ASYNCIFY.getState);
  const range = module.bodies[getState - module.imports.length];
  assert(range !== undefined, "Asyncify's state cannot be read");
  reader.offset = range.start;
  reader.end = range.end;
  readBody(reader, module, getState, body);
  const stateGlobal = body.a[0] as number;
  assert(
    body.ops[0] === GLOBAL_GET && stateGlobal >= original.globals.length,
    "Asyncify's state is elsewhere",
  );
  return {
    bytes,
    unwinding: {
      stateGlobal,
      startUnwind: named(ASYNCIFY.startUnwind),
      stopUnwind: named(ASYNCIFY.stopUnwind),
      startRewind: named(ASYNCIFY.startRewind),
      stopRewind: named(ASYNCIFY.stopRewind),
    },
    entries: Array.from({ length: entryCount }, (_, number) => named(`${number}`)),
    start: original.start === null ? null : named(START),
    memories: [0, 1],
  };
}
