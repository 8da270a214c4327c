/**
 * From AssemblyScript sources to the bytes of a program: the compiler asc with fixed flags, behind a cache on
 * disk.
 *
 * The bytes are a function of the sources, the flags and the version of asc, so a program's hash does not
 * depend on the machine: paths inside the module (an abort names its file) are relative to the entry's
 * package, and no configuration file is read. `stillpoint/guest` and `stillpoint/syscalls/abi` resolve to the
 * SDK of this very package, other packages through node_modules as asc does. The compiler is loaded at the
 * first compilation only; it runs on a thread of its own, one compilation at a time (compiler/thread.ts).
 *
 * It also writes a source map and the names of functions, which are not part of the program: they are kept
 * beside it, and registered in this process (program/source-map/sources.ts), so that traces have
 * source lines.
 *
 * Modules are kept in a cache (compiler/cache.ts), and so is what is known of guests with contracts.
 */

import "./check-node.ts";

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { MAIL_BYTES } from "../syscalls/abi.ts";
import { messageOf, unknownMessage } from "./arguments.ts";
import { type Analysis, analysisVersion, decodeTyped, encodeTyped, sourcesIn } from "./compiler/analyse.ts";
import { type Compiled, decodeCompiled, encodeCompiled } from "./compiler/asc.ts";
import { cached } from "./compiler/cache.ts";
import {
  findPackage,
  PACKAGE_ROOT,
  type Request,
  readSource,
  readText,
  toPosix,
} from "./compiler/sources.ts";
import { onThread } from "./compiler/thread.ts";
import { reportSources } from "./compiler/watching.ts";
import { UsageError } from "./errors.ts";
import { WASM_PAGE_BYTES } from "./limits.ts";
import { readState } from "./program/decode/state.ts";
import { withoutSections } from "./program/source-map/names.ts";
import { addSources } from "./program/source-map/sources.ts";
import { mentionsContracts, parseLock, withInterface } from "./typed/build.ts";
import type { Lock, TypedGuest } from "./typed/guest.ts";

/** Options of `compileGuest`. */
export interface CompileOptions {
  /** Optimise for speed (asc -O3). Default true. */
  readonly optimize?: boolean;
  /** Keep function names in the module. Changes its hash. Default false. */
  readonly debug?: boolean;
  /**
   * First address of static data, in bytes: the memory below it is left to the program. Default 0, or
   * STATE_BYTES and MAIL_BYTES together for a program that exports the constant STATE_BYTES.
   */
  readonly memoryBase?: number;
  /** Size of the shadow stack in bytes; only the incremental runtime has one by default. */
  readonly stackSize?: number;
  /**
   * Memory at the start, in 64 KiB pages. Default: what static data needs, and 1 MiB more for a program that
   * exports STATE_BYTES, for memory does not grow in an item of a batch.
   */
  readonly initialMemory?: number;
  /** Upper bound of the memory in 64 KiB pages. Default: none of its own. */
  readonly maximumMemory?: number;
  /** stub: never frees; minimal: collects when asked to; incremental: collects by itself. Default "stub". */
  readonly runtime?: "stub" | "minimal" | "incremental";
  /**
   * Wasm features that the compiler may not use: "bulk-memory", "nontrapping-f2i", "sign-extension"… Default:
   * none.
   */
  readonly disable?: readonly string[];
  /** Wasm features that it may use besides. Default: none. */
  readonly enable?: readonly "simd"[];
  /**
   * Integer constants that the sources see as globals, and that they can ask for with `isDefined`: one
   * source, several programs. Default: none.
   */
  readonly constants?: Readonly<Record<string, number>>;
  /**
   * Directory that paths inside the module are relative to. Default: that of the nearest package.json above
   * the entry.
   */
  readonly baseDirectory?: string;
  /** Milliseconds for one compilation: some sources make the compiler run for ever. Default 60,000. */
  readonly timeoutMs?: number;
  /** Called with each warning of the compiler. Default: warnings are dropped. */
  readonly onWarning?: (text: string) => void;
  /**
   * Directory of the cache; false: none. Default: .cache/guests of this package, or STILLPOINT_GUEST_CACHE.
   */
  readonly cache?: string | false;
}

const KNOWN: readonly (keyof CompileOptions)[] = [
  ...(["optimize", "debug", "memoryBase", "stackSize", "initialMemory", "maximumMemory"] as const),
  ...(["runtime", "disable", "enable", "constants", "baseDirectory", "cache"] as const),
  ...(["timeoutMs", "onWarning"] as const),
];
const TIMEOUT_MS = 60_000;
/** Initial memory for the heap of a program with state, in pages of 64 KiB. */
const HEAP_PAGES = 16;
/** The custom section that asc --sourceMap appends. */
const SOURCE_MAP_URL = "sourceMappingURL";
const FEATURES = ["mutable-globals", "sign-extension", "nontrapping-f2i", "bulk-memory"];
/**
 * Compiles the AssemblyScript file `entryFile` to a WebAssembly module.
 *
 * @throws UsageError E_GUEST_MISSING if there is no such file, E_GUEST_COMPILE with the compiler's
 *   diagnostics (also in facts.diagnostics) if it does not compile, E_COMPILE_OPTION for a wrong option.
 * @example
 * ```ts
 * const root = await compileGuest("guest/root.ts");
 * const runtime = await Runtime.open({ root });
 * console.log(runtime.head.height); // 0
 * await runtime.close();
 * ```
 */
export async function compileGuest(entryFile: string, options: CompileOptions = {}): Promise<Uint8Array> {
  return (await built(checkEntry(entryFile, options), options, null)).program;
}

/**
 * Compiles as `compileGuest`, and tells what the program of a typed guest is. `lock` is for one without a
 * lock file.
 *
 * @internal
 */
export async function buildGuest(
  entryFile: string,
  options: CompileOptions = {},
  lock: Lock | null = null,
): Promise<Built> {
  return built(checkEntry(entryFile, options), options, lock);
}

/**
 * The program of a typed guest in which `debug` prints, for tests: it imports `debug.print`, so that it
 * cannot be admitted. Null if it does not call `debug`.
 *
 * @internal
 */
export async function printingGuest(entryFile: string, typed: TypedGuest | null): Promise<Uint8Array | null> {
  if (typed?.hasPrints !== true) return null;
  return (await built(checkEntry(entryFile, {}), {}, null, true)).program;
}

/** What comes of compiling a guest. */
export interface Built {
  readonly program: Uint8Array;
  /** Null for a guest without contracts. */
  readonly typed: TypedGuest | null;
}

async function built(
  entry: string,
  options: CompileOptions,
  lock: Lock | null,
  prints = false,
): Promise<Built> {
  reportSources(entry, [lockPath(entry)]);
  const base = resolve(options.baseDirectory ?? findPackage(dirname(entry)) ?? dirname(entry));
  const source = toPosix(relative(base, entry));
  const typed = await typedGuest({ source, base, lock, prints }, options);
  const compile = (layout: CompileOptions): Promise<Compiled> => {
    const flags = [...compilerFlags({ ...layout, ...options }), ...(typed?.flags ?? [])];
    return compiled(
      { source: typed?.entry ?? source, base, name: source, flags, texts: typed?.texts ?? NO_TEXTS },
      options,
    );
  };
  let made = typed === null ? await compile({}) : null;
  const { stateBytes, memoryPages } =
    made === null ? { ...(typed as TypedGuest).description, memoryPages: 1 } : readState(made.code);
  if (stateBytes > 0) {
    const memoryBase = stateBytes + MAIL_BYTES;
    if (options.memoryBase !== undefined && options.memoryBase < memoryBase)
      throw wrong(
        "memoryBase",
        options.memoryBase,
        `at least ${memoryBase}, where state, inbox and outbox end, or nothing`,
      );
    const initialMemory = Math.ceil(memoryBase / WASM_PAGE_BYTES) + memoryPages + HEAP_PAGES;
    // Where static data begins follows from a constant of the program, so it is compiled once more.
    made = await compile({ memoryBase, initialMemory });
  }
  const { code, map, warnings } = made as Compiled;
  if (warnings !== "") options.onWarning?.(warnings);
  const plain = withoutSections(code, options.debug ? [SOURCE_MAP_URL] : [SOURCE_MAP_URL, "name"]);
  const program = typed === null ? plain : withInterface(plain, typed.description);
  addSources(program, { map, named: code, directory: base });
  return { program, typed };
}

/** What is known of a guest with contracts, under the lock file beside it; null for any other. */
async function typedGuest(asked: Analysis, options: CompileOptions): Promise<TypedGuest | null> {
  const { source, base } = asked;
  if (!(await mentionsContracts(source, sourcesIn(base)))) return null;
  const path = lockPath(resolve(base, source));
  const text = existsSync(path) ? await readFile(path, "utf8") : null;
  const lock = text === null ? asked.lock : parseLock(text, path);
  const make = async () => {
    const request = { ...asked, lock, name: source };
    const { reads, typed } = await onThread({ kind: "analyse", request }, options.timeoutMs ?? TIMEOUT_MS);
    return { reads, content: encodeTyped(typed) };
  };
  // The paths in it follow from the place of the SDK.
  const what = ["typed", analysisVersion(), source, base, JSON.stringify([lock, asked.prints])];
  const key = { what, where: [], read: (path: string) => readSource(base, path) };
  return decodeTyped(await cached(cacheOf(base, options), key, make));
}

/** The lock file of the guest `entry`: where its state lies. */
export function lockPath(entry: string): string {
  return entry.replace(/\.ts$/, ".layout.json");
}

/** What a lock file holds. */
export function lockText(lock: Lock): string {
  return `${JSON.stringify(lock, null, 2)}\n`;
}

/**
 * The module that asc makes of the file `entry` with these flags and no others; for what is not a guest.
 *
 * @internal
 */
export async function compileWithFlags(entry: string, base: string, flags: string[]): Promise<Uint8Array> {
  const source = toPosix(relative(base, entry));
  return (await compiled({ source, base, name: source, flags, texts: NO_TEXTS }, {})).code;
}

const NO_TEXTS: ReadonlyMap<string, string> = new Map();

async function compiled(request: Request, options: CompileOptions): Promise<Compiled> {
  const { source, base, flags } = request;
  const { timeoutMs = TIMEOUT_MS } = options;
  const make = async () => {
    const { reads, ...made } = await onThread({ kind: "compile", request }, timeoutMs);
    return { reads, content: encodeCompiled(made) };
  };
  const key = { what: [source, ...flags], where: [base], read: (path: string) => readText(request, path) };
  return decodeCompiled(await cached(cacheOf(base, options), key, make));
}

/** The directory of the cache, or none. */
function cacheOf(base: string, { cache }: CompileOptions): string | false {
  return cache ?? process.env.STILLPOINT_GUEST_CACHE ?? join(PACKAGE_ROOT ?? base, ".cache", "guests");
}

// ---- flags ------------------------------------------------------------------------------------------------

/** The absolute path of a file that is there. */
function checkEntry(entryFile: string, options: CompileOptions): string {
  checkOptions(entryFile, options);
  const entry = resolve(entryFile);
  if (entry.endsWith(".ts") && existsSync(entry)) return entry;
  const text = `no guest source ${entry}: give the path of an AssemblyScript file (.ts)`;
  throw new UsageError("E_GUEST_MISSING", text, { entry });
}

function checkOptions(entryFile: string, options: CompileOptions): void {
  if (typeof entryFile !== "string")
    throw wrong("entryFile", entryFile, "the path of an AssemblyScript file (.ts)");
  if (typeof options !== "object" || options === null) throw wrong("options", options, "an object");
  for (const name of Object.keys(options)) {
    if ((KNOWN as readonly string[]).includes(name)) continue;
    throw new UsageError("E_COMPILE_OPTION", unknownMessage("option", `"${name}"`, KNOWN), { option: name });
  }
  const { optimize = true, debug = false, disable = [], enable = [], baseDirectory, cache } = options;
  for (const [name, value] of Object.entries({ optimize, debug })) {
    if (typeof value !== "boolean") throw wrong(name, value, "true or false");
  }
  for (const [name, value] of Object.entries({ disable, enable })) {
    if (!Array.isArray(value)) throw wrong(name, value, "a list of features");
  }
  if (baseDirectory !== undefined && typeof baseDirectory !== "string")
    throw wrong("baseDirectory", baseDirectory, "a directory");
  const { timeoutMs, onWarning } = options;
  if (timeoutMs !== undefined && !(Number.isInteger(timeoutMs) && timeoutMs > 0 && timeoutMs < 2 ** 31))
    throw wrong("timeoutMs", timeoutMs, "an integer from 1 to 2147483647");
  if (onWarning !== undefined && typeof onWarning !== "function")
    throw wrong("onWarning", onWarning, "a function");
  if (cache !== undefined && cache !== false && typeof cache !== "string")
    throw wrong("cache", cache, "a directory or false");
}

function compilerFlags(options: CompileOptions): string[] {
  const flags = [
    "--runtime",
    choose("runtime", options.runtime ?? "stub", ["stub", "minimal", "incremental"]),
  ];
  if (options.optimize ?? true) flags.push("--optimizeLevel", "3", "--shrinkLevel", "0");
  else flags.push("--optimizeLevel", "0", "--shrinkLevel", "0");
  flags.push("--debug", "--sourceMap");
  for (const feature of options.disable ?? []) flags.push("--disable", choose("disable", feature, FEATURES));
  for (const feature of options.enable ?? []) flags.push("--enable", choose("enable", feature, ["simd"]));
  for (const [name, value] of Object.entries(options.constants ?? {})) {
    if (!/^[A-Za-z_]\w*$/.test(name)) throw wrong("constants", name, "names of letters, digits and _");
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** 31)
      throw wrong(`constants.${name}`, value, "an integer from 0 to 2147483647");
    flags.push("--use", `${name}=${value}`);
  }
  const numbers = {
    memoryBase: 2 ** 31,
    stackSize: 2 ** 30,
    initialMemory: 65536,
    maximumMemory: 65536,
  } as const;
  for (const [name, limit] of Object.entries(numbers)) {
    const value = options[name as keyof typeof numbers];
    if (value === undefined) continue;
    if (!Number.isInteger(value) || value < 0 || value > limit) {
      throw wrong(name, value, `an integer from 0 to ${limit}`);
    }
    flags.push(`--${name}`, String(value));
  }
  return flags;
}

function choose(name: string, value: string, allowed: readonly string[]): string {
  if (allowed.includes(value)) return value;
  throw wrong(name, value, allowed.join(", "));
}

function wrong(name: string, value: unknown, expected: string): UsageError {
  return new UsageError("E_COMPILE_OPTION", messageOf(`option "${name}"`, value, expected), { option: name });
}
