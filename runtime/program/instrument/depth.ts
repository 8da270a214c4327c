/**
 * Call depth without an engine: an estimate of native frame bytes that holds in every tier.
 *
 * Only functions that lie on a cycle of the call graph count as they run; call_indirect may call every
 * function of its type that a table holds. What such a function takes from the counter is its own frame and
 * the longest chain of uncounted functions that it can call; so the counter bounds the whole stack, while
 * straight code pays nothing. The chain from an entry down to the first counted function is taken off before
 * anything runs, and bounded at admission.
 */

import type { Body } from "../decode/body.ts";
import type { ImportName, Module } from "../decode/model.ts";
import { I32, V128 } from "../decode/opcodes.ts";
import type { Reach } from "./barrier.ts";

/** Bytes of a frame besides its locals and operands, the rewriter's temporaries included. */
export const FRAME_BASE_BYTES = 224;
/** Bytes of each local and each operand; a v128 counts twice. */
export const FRAME_SLOT_BYTES = 16;
/** The frames of run() or start() above, and of the deepest injected helper below. */
export const ROOT_FRAME_BYTES = 1024;

/** What the call graph needs to know of a function. */
export interface Calls {
  readonly frameBytes: number;
  /** What is added for the locals that keep operands, in a function that can be suspended (suspend/). */
  readonly operandBytes: number;
  readonly usesReferences: boolean;
  readonly callees: ReadonlySet<number>;
  readonly indirect: ReadonlySet<number>;
}

export function callsOf(body: Body): Calls {
  let slots = body.locals.length + body.height;
  for (let local = 0; local < body.parameters; local++) if (body.locals[local] === V128) slots++;
  for (const { type, count } of body.runs) if (type === V128) slots += count;
  return {
    frameBytes: FRAME_BASE_BYTES + FRAME_SLOT_BYTES * slots,
    operandBytes: FRAME_SLOT_BYTES * operandSlots(body),
    usesReferences: body.usesReferences,
    callees: body.callees,
    indirect: body.indirect,
  };
}

/** One for each type at each place on the operand stack, and two for a v128. */
export function operandSlots({ kinds, height }: Body): number {
  let slots = 0;
  for (let place = 0; place < height; place++) {
    const types = kinds[place] as number;
    for (let type = V128; type <= I32; type++) {
      if ((types & (1 << (I32 - type))) !== 0) slots += type === V128 ? 2 : 1;
    }
  }
  return slots;
}

/** What the call graph says. */
export interface Graph {
  readonly depths: Depths;
  /** Through which functions and types the kernel may be called, but for abort: nothing counts after it. */
  readonly reach: Reach;
  /** The same for ret and snapshot: what may be suspended. */
  readonly suspending: Reach;
}

export interface Depths {
  /** By function: what it takes from the counter; 0 if it does not count. */
  readonly charges: Float64Array;
  /**
   * Bytes that entries and the start function may take before the first counted function, and who takes most.
   */
  readonly root: number;
  readonly deepest: number | null;
}

/** `calls` by function of the module; imported functions have none. */
export function graphOf(module: Module, calls: readonly (Calls | null)[]): Graph {
  const { graph, kindOf } = edges(module, calls);
  const reach = (isWanted: (name: ImportName) => boolean) =>
    reachOf(module, calls.length, graph, kindOf, isWanted);
  const suspending = reach((name) => name === "ret" || name === "snapshot");
  return {
    depths: depthsOf(module, calls, graph, suspending),
    reach: reach((name) => name !== "abort"),
    suspending,
  };
}

/** Through which functions and types one of the wanted imports may be called. */
function reachOf(
  module: Module,
  functions: number,
  graph: number[][],
  kindOf: readonly number[],
  isWanted: (name: ImportName) => boolean,
): Reach {
  const callers: number[][] = graph.map(() => []);
  graph.forEach((targets, node) => {
    for (const target of targets) (callers[target] as number[]).push(node);
  });
  const reached = new Uint8Array(graph.length);
  const queue: number[] = [];
  module.imports.forEach((name, index) => {
    if (isWanted(name)) queue.push(index);
  });
  for (const node of queue) reached[node] = 1;
  for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
    for (const caller of callers[node] as number[]) {
      if (reached[caller] === 1) continue;
      reached[caller] = 1;
      queue.push(caller);
    }
  }
  return {
    functions: reached.subarray(0, functions),
    types: Uint8Array.from(kindOf, (kind) => reached[functions + kind] as number),
  };
}

function depthsOf(
  module: Module,
  calls: readonly (Calls | null)[],
  graph: number[][],
  suspending: Reach,
): Depths {
  const { order, component, cyclic } = components(graph);
  const functions = calls.length;
  const chain = new Float64Array(graph.length);
  const charges = new Float64Array(functions);
  const frame = (node: number) => {
    const call = calls[node] ?? null;
    if (call === null) return 0;
    return call.frameBytes + (suspending.functions[node] === 1 ? call.operandBytes : 0);
  };
  const counted = (node: number) => node < functions && cyclic[component[node] as number] === true;
  const below = (node: number) => {
    let longest = 0;
    for (const callee of graph[node] as number[]) {
      if (!counted(callee)) longest = Math.max(longest, chain[callee] as number);
    }
    return longest;
  };
  // Components come callees first. Types stand for their functions: they take no frame, and never count.
  for (const members of order) {
    for (const node of members) if (node >= functions) chain[node] = below(node);
    for (const node of members) {
      if (node >= functions) continue;
      const bytes = frame(node) + below(node);
      if (counted(node)) charges[node] = bytes;
      else chain[node] = bytes;
    }
  }
  let root = 0;
  let deepest: number | null = null;
  const roots = module.exports.map((item) => item.functionIndex);
  if (module.start !== null) roots.push(module.start);
  for (const node of roots) {
    if (!counted(node) && (chain[node] as number) > root) {
      root = chain[node] as number;
      deepest = node;
    }
  }
  return { charges, root, deepest };
}

/** Adjacent nodes: functions first, then one node for each type that is called indirectly. */
function edges(module: Module, calls: readonly (Calls | null)[]): { graph: number[][]; kindOf: number[] } {
  const kinds = new Map<string, number>();
  const kindOf = module.types.map(({ parameters, results }) => {
    const key = `${parameters.join()}>${results.join()}`;
    if (!kinds.has(key)) kinds.set(key, kinds.size);
    return kinds.get(key) as number;
  });
  const graph: number[][] = calls.map((call) => {
    if (call === null) return [];
    const targets = [...call.callees];
    for (const type of call.indirect) targets.push(calls.length + (kindOf[type] as number));
    return targets;
  });
  const held = new Set<number>();
  for (const segment of module.elements) {
    if (segment.mode !== "active") continue;
    for (const item of segment.items) if (item !== null) held.add(item);
  }
  for (let kind = 0; kind < kinds.size; kind++) graph.push([]);
  for (const index of held) {
    (graph[calls.length + (kindOf[module.functions[index] as number] as number)] as number[]).push(index);
  }
  return { graph, kindOf };
}

/**
 * Strongly connected components (Tarjan), each after all that it reaches; without recursion, for graphs may
 * be deep.
 */
function components(graph: number[][]): { order: number[][]; component: Int32Array; cyclic: boolean[] } {
  const size = graph.length;
  const number = new Int32Array(size).fill(-1);
  const lowest = new Int32Array(size);
  const component = new Int32Array(size).fill(-1);
  const next = new Int32Array(size);
  const stack: number[] = [];
  const order: number[][] = [];
  const cyclic: boolean[] = [];
  let counter = 0;
  for (let root = 0; root < size; root++) {
    if (number[root] !== -1) continue;
    const path = [root];
    while (path.length > 0) {
      const node = path[path.length - 1] as number;
      if (number[node] === -1) {
        number[node] = lowest[node] = counter++;
        stack.push(node);
      }
      const targets = graph[node] as number[];
      let descended = false;
      while ((next[node] as number) < targets.length) {
        const target = targets[next[node] as number] as number;
        if (number[target] === -1) {
          path.push(target);
          descended = true;
          break;
        }
        if (component[target] === -1)
          lowest[node] = Math.min(lowest[node] as number, lowest[target] as number);
        next[node] = (next[node] as number) + 1;
      }
      if (descended) continue;
      path.pop();
      if (lowest[node] !== number[node]) continue;
      const members: number[] = [];
      for (;;) {
        const member = stack.pop() as number;
        component[member] = order.length;
        members.push(member);
        if (member === node) break;
      }
      order.push(members);
      cyclic.push(members.length > 1 || targets.includes(node));
    }
  }
  return { order, component, cyclic };
}
