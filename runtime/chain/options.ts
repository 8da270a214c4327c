/** Options of `Runtime.open`: what they mean, their defaults, and the check of each. */

import { availableParallelism } from "node:os";
import { UsageError } from "../errors.ts";
import { GAS_LIMIT, WASM_PAGE_BYTES } from "../limits.ts";

/** What `Runtime.open` takes. Those marked (consensus) decide states: all replicas must use the same. */
export interface RuntimeOptions {
  /** Wasm bytes of the root program (consensus). */
  readonly root: Uint8Array;
  /** Wasm bytes of all programs that processes may be made of, by their hash (consensus). */
  readonly programs?: readonly Uint8Array[];
  /** The root's entry (consensus). Default "main". */
  readonly entry?: string;
  /** Gas of a block, unless `produce` says otherwise (consensus). Default 10^10, some seconds of work. */
  readonly gasLimit?: number;
  /** Memory of all processes together, in pages of 64 KiB (consensus). Default 65,536: 4 GiB. */
  readonly memoryQuota?: number;
  /** Number of processes below the root (consensus). Default 131,072. */
  readonly processQuota?: number;
  /** Worker threads. Default: the cores at hand, at most 8. Never changes a result. */
  readonly workers?: number;
  /** Capacity of the heap that holds all retained states; committed as it is touched. Default 8 GiB. */
  readonly heapBytes?: number;
  /** How many blocks can be reverted to, those of the current chain before others. Default 256. */
  readonly retain?: number;
  /** Directory where instrumented programs are kept between runs. Default: none. */
  readonly programCache?: string;
  /** How many records `timeline` holds, 64 bytes each; later ones are left out. Default 0: none. */
  readonly timeline?: number;
}

/** Options with defaults filled in. */
export type Settings = Required<Omit<RuntimeOptions, "programCache">> & {
  readonly programCache: string | undefined;
};

const KNOWN = new Set([
  "root",
  "programs",
  "entry",
  "gasLimit",
  "memoryQuota",
  "processQuota",
  "workers",
  "heapBytes",
  "retain",
  "programCache",
  "timeline",
]);

export function checkOptions(options: RuntimeOptions): Settings {
  if (typeof options !== "object" || options === null) throw bad("options", options, "an object");
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name)) throw unknownOption(name, [...KNOWN]);
  }
  const { root, programs = [], entry = "main", programCache } = options;
  if (!(root instanceof Uint8Array))
    throw bad("root", root, "a Uint8Array with the root program's Wasm bytes");
  if (!Array.isArray(programs) || !programs.every((bytes) => bytes instanceof Uint8Array)) {
    throw bad("programs", programs, "an array of Uint8Arrays with Wasm bytes");
  }
  if (typeof entry !== "string" || entry === "")
    throw bad("entry", entry, "the name of an exported function");
  if (programCache !== undefined && typeof programCache !== "string")
    throw bad("programCache", programCache, "a directory");
  const settings = {
    root,
    programs,
    entry,
    programCache,
    gasLimit: integer(options, "gasLimit", 10_000_000_000, 0, GAS_LIMIT),
    memoryQuota: integer(options, "memoryQuota", 65_536, 1, 1 << 24),
    processQuota: integer(options, "processQuota", 131_072, 0, 1 << 30),
    workers: integer(options, "workers", Math.min(8, availableParallelism()), 1, 256),
    heapBytes: integer(options, "heapBytes", 8 * 2 ** 30, 1 << 20, 2 ** 37),
    retain: integer(options, "retain", 256, 1, 1 << 18),
    timeline: integer(options, "timeline", 0, 0, 1 << 24),
  };
  if (settings.memoryQuota * WASM_PAGE_BYTES > settings.heapBytes) {
    throw new UsageError(
      "BAD_OPTION",
      `memoryQuota allows processes ${settings.memoryQuota * WASM_PAGE_BYTES} bytes of memory, ` +
        `more than the heap's ${settings.heapBytes}: raise "heapBytes" or lower "memoryQuota" (64 KiB pages)`,
      { memoryQuota: settings.memoryQuota, heapBytes: settings.heapBytes },
    );
  }
  return settings;
}

export function unknownOption(name: string, known: readonly string[]): UsageError {
  const text = `unknown option "${name}". Known are: ${known.join(", ")}`;
  return new UsageError("BAD_OPTION", text, { option: name });
}

/** An integer option within its range, or its default. */
export function integer<T extends object>(
  options: T,
  name: keyof T & string,
  fallback: number,
  minimum: number,
  maximum: number,
): number {
  const value: unknown = options[name] ?? fallback;
  if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum) {
    throw bad(name, value, `an integer from ${minimum} to ${maximum}`);
  }
  return value;
}

function bad(name: string, value: unknown, expected: string): UsageError {
  const got = typeof value === "number" || typeof value === "string" ? JSON.stringify(value) : typeof value;
  return new UsageError("BAD_OPTION", `option "${name}" must be ${expected}, got ${got}`, { option: name });
}
