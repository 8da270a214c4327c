/**
 * From AssemblyScript sources to the bytes of a program: the compiler asc with fixed flags, behind a cache on
 * disk.
 *
 * The bytes are a function of the sources, the flags and the version of asc, so a program's hash does not
 * depend on the machine: paths inside the module (an abort names its file) are relative to the entry's
 * package, and no configuration file is read. `stillpoint/guest` and `stillpoint/syscalls/abi` resolve to the
 * SDK of this very package, other packages through node_modules as asc does. The compiler is loaded at the
 * first compilation only; it runs on the calling thread, one compilation at a time.
 *
 * It also writes a source map and the names of functions, which are not part of the program: they are kept
 * beside it, and this process is told of them (program/source-map/sources.ts), so that traces have
 * source lines.
 *
 * Cache, one directory, safe to share between processes and to delete at any time:
 *   <request>.json   the files that the last compilation of this request asked for, found or not
 *   <content>.guest  32 bytes SHA-256 of the rest · u32 length of the module · the module as asc wrote it ·
 *                    its source map, if any; the name is a hash over flags, asc version and the contents of
 *                    all those files
 * Both are written beside and renamed into place; what does not check is compiled again.
 */

import { createHash, randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { MAIL_BYTES } from "../syscalls/abi.ts";
import { messageOf } from "./arguments.ts";
import { UsageError } from "./errors.ts";
import { WASM_PAGE_BYTES } from "./limits.ts";
import { readState } from "./program/decode/state.ts";
import { withoutSections } from "./program/source-map/names.ts";
import { addSources } from "./program/source-map/sources.ts";
import { analyseGuest, mentionsContracts, parseLock, withInterface } from "./typed/build.ts";
import type { TypedGuest } from "./typed/guest.ts";

/** How a guest is compiled. */
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
  /**
   * Directory of the cache; false: none. Default: .cache/guests of this package, or STILLPOINT_GUEST_CACHE.
   */
  readonly cache?: string | false;
}

/**
 * A file the compiler asked for: its path relative to the base directory and the hash of its content, null if
 * there is none.
 */
interface Read {
  readonly path: string;
  readonly hash: string | null;
}

const KNOWN: readonly (keyof CompileOptions)[] = [
  ...(["optimize", "debug", "memoryBase", "stackSize", "initialMemory", "maximumMemory"] as const),
  ...(["runtime", "disable", "enable", "constants", "baseDirectory", "cache"] as const),
];
const CACHE_VERSION = 2;
/** Initial memory for the heap of a program with state, in pages of 64 KiB. */
const HEAP_PAGES = 16;
/** The custom section that asc --sourceMap appends. */
const SOURCE_MAP_URL = "sourceMappingURL";
const FEATURES = ["mutable-globals", "sign-extension", "nontrapping-f2i", "bulk-memory"];
const PACKAGE_ROOT = findPackage(dirname(fileURLToPath(import.meta.url)), "stillpoint");
const SDK_PATH = /(?:^|\/)node_modules\/stillpoint\/(guest(?:\/.*)?|syscalls\/.*)$/;

/**
 * Compiles the AssemblyScript file `entryFile` to a WebAssembly module.
 *
 * @throws UsageError E_GUEST_MISSING if there is no such file, E_GUEST_COMPILE with the compiler's
 *   diagnostics (also in facts.diagnostics) if it does not compile, E_COMPILE_OPTION for a wrong option.
 * @example
 * const root = await compileGuest("guest/root.ts");
 * const runtime = await Runtime.open({ root });
 */
export async function compileGuest(entryFile: string, options: CompileOptions = {}): Promise<Uint8Array> {
  return (await built(checkEntry(entryFile, options), options)).program;
}

/**
 * Compiles as `compileGuest`, and tells what the program of a typed guest is.
 *
 * @internal
 */
export async function buildGuest(entryFile: string, options: CompileOptions = {}): Promise<Built> {
  return built(checkEntry(entryFile, options), options);
}

/** What comes of compiling a guest. */
export interface Built {
  readonly program: Uint8Array;
  /** Null for a guest without contracts. */
  readonly typed: TypedGuest | null;
}

async function built(entry: string, options: CompileOptions): Promise<Built> {
  const base = resolve(options.baseDirectory ?? findPackage(dirname(entry)) ?? dirname(entry));
  const source = toPosix(relative(base, entry));
  const typed = await typedGuest(source, base);
  const compile = (layout: CompileOptions): Promise<Compiled> => {
    const flags = compilerFlags({ ...layout, ...options });
    return compiled(
      { source: typed?.entry ?? source, base, flags, texts: typed?.texts ?? NO_TEXTS },
      options.cache,
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
        `at least ${memoryBase}, where state and mail end, or nothing`,
      );
    const initialMemory = Math.ceil(memoryBase / WASM_PAGE_BYTES) + memoryPages + HEAP_PAGES;
    // Where static data begins follows from a constant of the program, so it is compiled once more.
    made = await compile({ memoryBase, initialMemory });
  }
  const { code, map } = made as Compiled;
  const plain = withoutSections(code, options.debug ? [SOURCE_MAP_URL] : [SOURCE_MAP_URL, "name"]);
  const program = typed === null ? plain : withInterface(plain, typed.description);
  addSources(program, { map, named: code });
  return { program, typed };
}

/** What is known of a guest with contracts, under the lock file beside it; null for any other. */
async function typedGuest(source: string, base: string): Promise<TypedGuest | null> {
  const sources = {
    read: (path: string) => readSource(base, path),
    isSdk: (path: string) => isSdk(base, path),
  };
  if (!(await mentionsContracts(source, sources))) return null;
  const path = lockPath(resolve(base, source));
  const text = existsSync(path) ? await readFile(path, "utf8") : null;
  return analyseGuest(source, sources, text === null ? null : parseLock(text, path));
}

/** The lock file of the guest `entry`: where its state lies. */
export function lockPath(entry: string): string {
  return entry.replace(/\.ts$/, ".layout.json");
}

/**
 * The module that asc makes of the file `entry` with these flags and no others; for what is not a guest.
 *
 * @internal
 */
export async function compileWithFlags(entry: string, base: string, flags: string[]): Promise<Uint8Array> {
  return (await compiled({ source: toPosix(relative(base, entry)), base, flags, texts: NO_TEXTS })).code;
}

/** What the compiler is asked for. */
interface Request {
  /** The entry, relative to `base`. */
  readonly source: string;
  readonly base: string;
  readonly flags: readonly string[];
  /** Texts that stand for those of files. */
  readonly texts: ReadonlyMap<string, string>;
}

const NO_TEXTS: ReadonlyMap<string, string> = new Map();

/** What asc wrote. */
interface Compiled {
  readonly code: Uint8Array;
  /** "" if none was asked for. */
  readonly map: string;
}

async function compiled(request: Request, cacheOption?: string | false): Promise<Compiled> {
  const { source, base, flags } = request;
  const cache =
    cacheOption ?? process.env.STILLPOINT_GUEST_CACHE ?? join(PACKAGE_ROOT ?? base, ".cache", "guests");
  if (cache === false) return oneAtATime(() => runCompiler(request));

  const list = join(cache, `${digest("request", [source, base, ...flags], [])}.json`);
  return (
    (await load(cache, list, request)) ??
    (await oneAtATime(async () => {
      const other = await load(cache, list, request);
      if (other) return other;
      const made = await runCompiler(request);
      await save(cache, list, request, made, made.reads);
      return made;
    }))
  );
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
    const text = `unknown option "${name}". Known are: ${KNOWN.join(", ")}`;
    throw new UsageError("E_COMPILE_OPTION", text, { option: name });
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

// ---- the compiler -----------------------------------------------------------------------------------------

let queue: Promise<unknown> = Promise.resolve();

function oneAtATime<T>(task: () => Promise<T>): Promise<T> {
  const result = queue.then(task);
  queue = result.catch(() => undefined);
  return result;
}

async function runCompiler(request: Request): Promise<Compiled & { readonly reads: Read[] }> {
  const { source, base, flags } = request;
  const asc = await import("assemblyscript/asc");
  const seen = new Map<string, string | null>();
  let code: Uint8Array | undefined;
  let map = "";
  let diagnostics = "";
  const result = await asc.main([source, "--outFile", "guest.wasm", "--noColors", ...flags], {
    stdout: { write: () => true },
    stderr: {
      write: (chunk: string | Uint8Array) => {
        diagnostics += typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk);
        return true;
      },
    },
    readFile: async (path: string, directory: string) => {
      const name = toPosix(relative(base, resolve(directory === "." ? base : directory, path)));
      if (!name.endsWith(".ts")) return null;
      const content = await readText(request, name);
      seen.set(name, content === null ? null : sha256(content));
      return content;
    },
    writeFile: (path: string, contents: string | Uint8Array) => {
      if (typeof contents !== "string") code = contents;
      else if (path.endsWith(".map")) map = withoutContents(contents);
    },
    listFiles: () => [],
  });
  if (result.error || !code) {
    const text = diagnostics.trim() || (result.error?.stack ?? "no output");
    throw new UsageError("E_GUEST_COMPILE", `${source} does not compile:\n${text}`, {
      entry: source,
      diagnostics: text,
    });
  }
  const reads = [...seen].map(([path, hash]) => ({ path, hash }));
  return { code, map, reads: reads.sort((a, b) => (a.path < b.path ? -1 : 1)) };
}

/** A source map without the texts of the sources, which are most of it. */
function withoutContents(map: string): string {
  const { sourcesContent: _, ...rest } = JSON.parse(map);
  return JSON.stringify(rest);
}

async function readText({ base, texts }: Request, name: string): Promise<string | null> {
  return texts.get(name) ?? (await readSource(base, name));
}

/** Does the path name a file of the SDK's? */
function isSdk(base: string, name: string): boolean {
  if (SDK_PATH.test(name)) return true;
  const path = PACKAGE_ROOT === undefined ? "" : toPosix(relative(PACKAGE_ROOT, resolve(base, name)));
  return path.startsWith("guest/") || path.startsWith("syscalls/");
}

/** The text of a source file below `base`, or of the SDK wherever it is asked for; null if there is none. */
async function readSource(base: string, name: string): Promise<string | null> {
  const own = SDK_PATH.exec(name)?.[1];
  try {
    return await readFile(
      own !== undefined && PACKAGE_ROOT ? join(PACKAGE_ROOT, own) : resolve(base, name),
      "utf8",
    );
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR") return null;
    throw new UsageError(
      "E_GUEST_MISSING",
      `cannot read the guest source ${name}: ${code}`,
      { name },
      { cause: error },
    );
  }
}

// ---- the cache --------------------------------------------------------------------------------------------

let compilerVersion: string | undefined;

function ascVersion(): string {
  if (compilerVersion === undefined) {
    const manifest = fileURLToPath(import.meta.resolve("assemblyscript/package.json"));
    compilerVersion = String(JSON.parse(readFileSync(manifest, "utf8")).version);
  }
  return compilerVersion;
}

function digest(kind: string, strings: readonly string[], reads: readonly Read[]): string {
  return sha256(
    JSON.stringify([CACHE_VERSION, kind, ascVersion(), strings, reads.map((read) => [read.path, read.hash])]),
  );
}

async function load(cache: string, list: string, request: Request): Promise<Compiled | undefined> {
  const { source, flags } = request;
  try {
    const paths: unknown = JSON.parse(await readFile(list, "utf8"));
    if (!Array.isArray(paths) || !paths.every((path) => typeof path === "string")) return undefined;
    const reads = await Promise.all(
      paths.map(async (path: string) => {
        const content = await readText(request, path);
        return { path, hash: content === null ? null : sha256(content) };
      }),
    );
    const entry = await readFile(join(cache, `${digest("content", [source, ...flags], reads)}.guest`));
    if (sha256(entry.subarray(32)) !== entry.toString("hex", 0, 32)) return undefined;
    const end = 36 + entry.readUInt32LE(32);
    return { code: new Uint8Array(entry.subarray(36, end)), map: entry.toString("utf8", end) };
  } catch {
    return undefined; // missing or unreadable: as if it had never been compiled
  }
}

async function save(
  cache: string,
  list: string,
  { source, flags }: Request,
  { code, map }: Compiled,
  reads: Read[],
): Promise<void> {
  try {
    await mkdir(cache, { recursive: true });
    const length = Buffer.alloc(4);
    length.writeUInt32LE(code.length);
    const content = Buffer.concat([length, code, Buffer.from(map, "utf8")]);
    const entry = Buffer.concat([Buffer.from(sha256(content), "hex"), content]);
    await replace(join(cache, `${digest("content", [source, ...flags], reads)}.guest`), entry);
    await replace(list, JSON.stringify(reads.map((read) => read.path)));
  } catch {
    // A cache that cannot be written (read-only installation, full disk) costs time, not correctness.
  }
}

async function replace(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}.${randomUUID()}`;
  try {
    await writeFile(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

// ---- small things -----------------------------------------------------------------------------------------

/** The nearest directory from `start` upwards with a package.json (of the given name). */
function findPackage(start: string, name?: string): string | undefined {
  for (let directory = start; ; directory = dirname(directory)) {
    const manifest = join(directory, "package.json");
    if (
      existsSync(manifest) &&
      (name === undefined || JSON.parse(readFileSync(manifest, "utf8")).name === name)
    )
      return directory;
    if (directory === dirname(directory)) return undefined;
  }
}

function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

function toPosix(path: string): string {
  return path.split(sep).join("/");
}
