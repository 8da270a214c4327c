/**
 * Puts an instrumented module together, by the contract of layout.ts. Every section is written from what was
 * decoded; of the original only instructions, types, tables, immutable values and passive data come through,
 * all encoded again.
 *
 * Functions are numbered: the kernel's imports, the module's own functions in their order, injected ones.
 */

import { CALL_DEPTH_BYTES, INSTRUMENTED_FUNCTION_BYTES_LIMIT } from "../../limits.ts";
import { AdmissionError } from "../admission-error.ts";
import { writeConstant } from "../decode/constant.ts";
import {
  canSuspend,
  type FunctionType,
  type ImportName,
  type Module,
  typeOfFunction,
} from "../decode/model.ts";
import * as op from "../decode/opcodes.ts";
import { readBodies } from "../decode/validate.ts";
import { Writer } from "../decode/writer.ts";
import { AUX_PAGES, batchAuxPages, MEMORY_PAGES_LIMIT, RUNNING } from "../layout.ts";
import { Guards } from "../lines/guards.ts";
import type { Lines } from "../lines/lines.ts";
import { sitesOf } from "../suspend/sites.ts";
import { bulk } from "./bulk.ts";
import type { Checks } from "./checks.ts";
import type { Defect } from "./defects.ts";
import { type Depths, type Graph, ROOT_FRAME_BYTES } from "./depth.ts";
import {
  type Glue,
  KERNEL_IMPORTS,
  miss,
  run,
  scan,
  start,
  TOUCH_IMPORT,
  transfer,
  wrapper,
} from "./glue.ts";
import { Rewriter, type Targets } from "./rewrite.ts";

export interface Parts {
  readonly source: Uint8Array;
  readonly module: Module;
  /** Functions of `module`, by entry number. */
  readonly entries: readonly number[];
  readonly graph: Graph;
  /** For the batch variant: where state ends; else null. */
  readonly bound: number | null;
  /** Receives, by function of `module`, the origin of each piece of code: Rewriter.origins. */
  readonly origins: ((functionIndex: number, origins: readonly number[]) => void) | null;
  /** How often prices are paid: CODE_PRICES. */
  readonly price: number;
  readonly checks: Checks;
  readonly defect: Defect | null;
}

/** The function that the batch variant imports behind the kernel's. */
const TOUCH = KERNEL_IMPORTS.length;

export function assemble(parts: Parts): Uint8Array {
  return new Assembler(parts).write();
}

class Assembler {
  readonly #parts: Parts;
  readonly #types = new Writer();
  readonly #typeIndices = new Map<string, number>();
  #typeCount = 0;
  readonly #glue: Glue[] = [];
  readonly #glueIndices = new Map<string, number>();
  readonly #imports: readonly { name: string; parameters: readonly number[]; results: readonly number[] }[];
  readonly #defined: number;
  readonly #lines: Lines | null;
  readonly #hints = new Writer();
  #hinted = 0;
  /** Functions of the instrumented module that a ref.func names. */
  readonly #referenced = new Set<number>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#imports = parts.bound === null ? KERNEL_IMPORTS : [...KERNEL_IMPORTS, TOUCH_IMPORT];
    this.#defined = parts.module.functions.length - parts.module.imports.length;
    this.#lines = parts.bound === null ? null : this.#linesBelow(parts.bound);
    // The original types keep their indices.
    for (const type of parts.module.types) this.#addType(type.parameters, type.results);
  }

  #addType(parameters: ArrayLike<number>, results: ArrayLike<number>): number {
    this.#types.u8(0x60);
    for (const list of [parameters, results]) {
      this.#types.u32(list.length);
      for (let index = 0; index < list.length; index++) this.#types.u8(list[index] as number);
    }
    const key = `${Array.from(parameters).join()}>${Array.from(results).join()}`;
    if (!this.#typeIndices.has(key)) this.#typeIndices.set(key, this.#typeCount);
    return this.#typeCount++;
  }

  #type(parameters: readonly number[], results: readonly number[]): number {
    const key = `${parameters.join()}>${results.join()}`;
    return this.#typeIndices.get(key) ?? this.#addType(parameters, results);
  }

  /** The index of an injected function, made when it is first asked for. */
  #injected(name: string, make: () => Glue): number {
    const known = this.#glueIndices.get(name);
    if (known !== undefined) return known;
    const index = this.#imports.length + this.#defined + this.#glue.length;
    this.#glueIndices.set(name, index);
    this.#glue.push(make());
    return index;
  }

  #function(index: number): number {
    const { imports } = this.#parts.module;
    if (index >= imports.length) return this.#imports.length + index - imports.length;
    return this.#wrapped(imports[index] as ImportName);
  }

  #wrapped(name: ImportName | "grow"): number {
    return this.#injected(name, () => wrapper(name, this.#gasGlobal));
  }

  /** Nothing is suspended while the batch variant runs. */
  get #suspends(): boolean {
    return this.#parts.bound === null && canSuspend(this.#parts.module);
  }

  get #gasGlobal(): number {
    return this.#parts.module.globals.length;
  }

  write(): Uint8Array {
    const { module, price, defect } = this.#parts;
    const lines = this.#lines;
    const gasGlobal = this.#gasGlobal;
    const helper = (name: string, opcode: number, segment: number) =>
      this.#injected(name, () => {
        const { offset, bytes } = module.data[segment] ?? { offset: null, bytes: [] };
        // The kernel has applied active segments.
        const segmentBytes = offset === null ? bytes.length : 0;
        return bulk({ opcode, segment, segmentBytes, gasGlobal, lines, touch: TOUCH, price, defect });
      });
    const targets: Targets = {
      functions: (index) => this.#function(index),
      references: (index) => {
        const reference = this.#function(index);
        this.#referenced.add(reference);
        return reference;
      },
      blockType: (type: FunctionType) => this.#type([], [...type.results]),
      reach: this.#parts.graph.reach,
      gasGlobal: this.#gasGlobal,
      module,
      depthGlobal: this.#gasGlobal + 1,
      stateGlobal: this.#gasGlobal + 2,
      grow: () => this.#wrapped("grow"),
      copy: () => helper("copy", op.MEMORY_COPY, 0),
      fill: () => helper("fill", op.MEMORY_FILL, 0),
      init: (segment) => helper(`init ${segment}`, op.MEMORY_INIT, segment),
      lines,
      origins: this.#parts.origins !== null,
      price,
      checks: this.#parts.checks,
      defect,
    };
    const bodies = this.#bodies(targets);
    const exports = this.#exports();
    const elements = this.#elements();
    const globals = this.#globals();

    // Everything is numbered now, so that the sections before can be written.
    const out = new Writer(bodies.length + 4096);
    out.bytes(Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00));
    const imports = this.#importSection();
    const functions = new Writer();
    functions.u32(this.#defined + this.#glue.length);
    for (const type of module.functions.slice(module.imports.length)) functions.u32(type);
    for (const { parameters, results } of this.#glue)
      functions.u32(this.#type([...parameters], [...results]));
    const types = new Writer();
    types.u32(this.#typeCount);
    types.bytes(this.#types.view());
    out.section(1, types);
    out.section(2, imports);
    out.section(3, functions);
    if (module.tables.length > 0) out.section(4, this.#tables());
    out.section(6, globals);
    out.section(7, exports);
    if (module.elements.length + this.#referenced.size > 0) out.section(9, elements);
    if (module.dataCount !== null) {
      const count = new Writer();
      count.u32(module.dataCount);
      out.section(12, count);
    }
    if (this.#hinted > 0) out.section(0, this.#hintSection());
    const code = new Writer(bodies.length + 4096);
    code.u32(this.#defined + this.#glue.length);
    code.bytes(bodies.view());
    for (const { code: body } of this.#glue) code.sized(body);
    out.section(10, code);
    if (module.data.length > 0) out.section(11, this.#data());
    return out.finish();
  }

  /** What the batch variant knows of its state. */
  #linesBelow(bound: number): Lines {
    const { module, defect } = this.#parts;
    const guards = new Guards(module, bound);
    this.#eachBody((body) => guards.add(body));
    const name = (write: boolean) => (write ? "miss to write" : "miss to read");
    const lines: Lines = {
      bound,
      guarded: guards.globals(),
      defect,
      miss: (write) => this.#injected(name(write), () => miss(lines, TOUCH, write)),
    };
    return lines;
  }

  #eachBody(see: Parameters<typeof readBodies>[2]): void {
    readBodies(this.#parts.source, this.#parts.module, see);
  }

  #bodies(targets: Targets): Writer {
    const { module, source } = this.#parts;
    const { depths, suspending } = this.#parts.graph;
    const out = new Writer(source.length * 2);
    const rewriter = new Rewriter(source, targets);
    this.#eachBody((body, index, start, position) => {
      const charge = depths.charges[index] as number;
      const fail = (text: string) => new AdmissionError("not-suspendable", text, start, index);
      const suspends = this.#suspends && suspending.functions[index] === 1;
      const sites = suspends ? sitesOf(body, suspending, fail) : null;
      const size = rewriter.function(body, typeOfFunction(module, index), charge, sites, out);
      // What only some engines need is no part of a rule.
      if (size - rewriter.checkBytes > INSTRUMENTED_FUNCTION_BYTES_LIMIT) {
        const limit = INSTRUMENTED_FUNCTION_BYTES_LIMIT;
        const text = `Instrumented, the function has ${size} bytes: at most ${limit} are allowed`;
        throw new AdmissionError("function-size", text, start, index);
      }
      this.#hint(position, rewriter.unlikely);
      this.#parts.origins?.(index, rewriter.origins);
    });
    return out;
  }

  /** Notes which branches of a function are seldom taken. */
  #hint(position: number, places: readonly number[]): void {
    if (places.length === 0) return;
    this.#hinted++;
    this.#hints.u32(this.#imports.length + position);
    this.#hints.u32(places.length);
    for (const place of places) {
      this.#hints.u32(place);
      this.#hints.u32(1);
      this.#hints.u8(0);
    }
  }

  /** The custom section by which an engine knows them. */
  #hintSection(): Writer {
    const out = new Writer();
    out.name("metadata.code.branch_hint");
    out.u32(this.#hinted);
    out.bytes(this.#hints.view());
    return out;
  }

  #importSection(): Writer {
    const { bound } = this.#parts;
    const auxPages = bound === null ? AUX_PAGES : batchAuxPages(bound);
    const out = new Writer();
    out.u32(2 + this.#imports.length);
    for (const [name, limits] of [
      ["memory", [0, MEMORY_PAGES_LIMIT]],
      ["aux", [auxPages, auxPages]],
    ] as const) {
      out.name("k");
      out.name(name);
      out.u8(2);
      out.u8(1);
      out.u32(limits[0]);
      out.u32(limits[1]);
    }
    for (const { name, parameters, results } of this.#imports) {
      out.name("k");
      out.name(name);
      out.u8(0);
      out.u32(this.#type([...parameters], [...results]));
    }
    return out;
  }

  #tables(): Writer {
    const out = new Writer();
    out.u32(this.#parts.module.tables.length);
    for (const { element, minimum, maximum } of this.#parts.module.tables) {
      out.u8(element);
      out.u8(maximum === null ? 0 : 1);
      out.u32(minimum);
      if (maximum !== null) out.u32(maximum);
    }
    return out;
  }

  #globals(): Writer {
    const { module, graph } = this.#parts;
    const out = new Writer();
    out.u32(module.globals.length + (this.#suspends ? 3 : 2));
    for (const { type, mutable, initial } of module.globals) {
      out.u8(type);
      out.u8(mutable ? 1 : 0);
      writeConstant(out, initial, (index) => this.#function(index));
    }
    const counter = (type: number, value: number) => {
      out.u8(type);
      out.u8(1);
      writeConstant(out, { kind: "number", type, value: BigInt(value) }, (index) => index);
    };
    counter(op.I64, 0);
    counter(op.I32, depthOf(graph.depths));
    if (this.#suspends) counter(op.I32, RUNNING);
    return out;
  }

  #exports(): Writer {
    const { module, entries, graph } = this.#parts;
    const counters = {
      gasGlobal: this.#gasGlobal,
      depthGlobal: this.#gasGlobal + 1,
      depth: depthOf(graph.depths),
      stateGlobal: this.#suspends ? this.#gasGlobal + 2 : null,
      lines: this.#lines,
    };
    const mutable = module.globals.flatMap((global, index) =>
      global.mutable ? [{ index, type: global.type }] : [],
    );
    const list: [name: string, kind: number, index: number][] = [];
    const add = (name: string, make: () => Glue) =>
      list.push([name, 0, this.#injected(`export ${name}`, make)]);
    const entryFunctions = entries.map((index) => this.#function(index));
    add("run", () => run(entryFunctions, counters));
    if (module.start !== null) {
      const index = this.#function(module.start);
      add("start", () => start(index, counters));
    }
    add("load", () => transfer("load", mutable));
    add("save", () => transfer("save", mutable));
    add("scan", scan);
    if (this.#suspends) list.push(["state", 3, this.#gasGlobal + 2]);
    const out = new Writer();
    out.u32(list.length);
    for (const [name, kind, index] of list) {
      out.name(name);
      out.u8(kind);
      out.u32(index);
    }
    return out;
  }

  #elements(): Writer {
    const out = new Writer();
    const { elements } = this.#parts.module;
    out.u32(elements.length + (this.#referenced.size > 0 ? 1 : 0));
    for (const { mode, table, offset, element, items } of elements) {
      // Always with expressions: the one form that holds null references too.
      out.u8(mode === "active" ? 6 : mode === "passive" ? 5 : 7);
      if (mode === "active") {
        out.u32(table);
        writeConstant(out, { kind: "number", type: op.I32, value: BigInt(offset) }, (index) => index);
      }
      out.u8(element);
      out.u32(items.length);
      for (const item of items) {
        const value =
          item === null
            ? ({ kind: "null", type: element } as const)
            : ({ kind: "function", functionIndex: item } as const);
        writeConstant(out, value, (index) => this.#function(index));
      }
    }
    if (this.#referenced.size > 0) {
      // Some may have been declared by an export of the original.
      out.u8(3);
      out.u8(0);
      out.u32(this.#referenced.size);
      for (const index of this.#referenced) out.u32(index);
    }
    return out;
  }

  /** Passive segments; active ones, which the kernel applies, leave an empty place. */
  #data(): Writer {
    const out = new Writer();
    const { data } = this.#parts.module;
    out.u32(data.length);
    for (const { offset, bytes } of data) {
      out.u8(1);
      out.u32(offset === null ? bytes.length : 0);
      if (offset === null) out.bytes(bytes);
    }
    return out;
  }
}

function depthOf(depths: Depths): number {
  return CALL_DEPTH_BYTES - ROOT_FRAME_BYTES - depths.root;
}
