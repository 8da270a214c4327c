/**
 * JavaScript engines beside this Node's, as second opinions: the other version of Node that is supported,
 * Deno, whose V8 is newer than Node's, and Bun, whose engine (JavaScriptCore) shares no code with V8. They
 * are packages of npm, kept in .cache/engines, and fetched on demand: the project does not depend on them.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const HOME = fileURLToPath(new URL("../../.cache/engines", import.meta.url));
/** All of them together are some hundred megabytes. */
const FETCH_MS = 120_000;

/** A command for what goes deep, in which a thread has a stack of 64 MiB. */
interface Depth {
  readonly command: readonly string[];
  /** After the script's name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

interface Kind {
  readonly name: string;
  /** The package, with the version that was tested. */
  readonly package: string;
  /** Where packages of platforms have the program; the package's own script would copy it. */
  readonly binary: string;
  /** Before the script's name. */
  readonly flags: readonly string[];
  /** It is a Node. */
  readonly isNode?: boolean;
  /** It can open a store: lmdb works there. */
  readonly hasStore?: boolean;
  readonly depth?: (binary: string) => Depth;
}

const PLATFORM = `${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;

const KINDS: readonly Kind[] = [
  {
    name: "Node",
    package: `node-24@npm:node-${PLATFORM}@24.21.0`,
    binary: "node_modules/node-24/bin/node",
    flags: [],
    isNode: true,
  },
  {
    name: "Deno",
    package: "deno@2.9.6",
    binary: "node_modules/@deno/*/deno",
    flags: ["run", "-A"],
    // Neither Deno nor the system gives its threads a large stack unless both are told to.
    depth: (binary) => ({
      command: [
        ...["sh", "-c", 'ulimit -s 65536 && exec "$0" "$@"'],
        ...[binary, "run", "-A", "--v8-flags=--stack-size=60000"],
      ],
      args: [],
      env: { RUST_MIN_STACK: `${64 << 20}`, STACK_MB: "64" },
    }),
  },
  {
    name: "Bun",
    package: "bun@1.4.5",
    binary: "node_modules/@oven/*/bin/bun",
    flags: [],
    hasStore: true,
    // The stack of its workers cannot be chosen; that of the main thread is large enough.
    depth: (binary) => ({ command: [binary], args: ["--here"], env: {} }),
  },
];

/** An engine that runs here. */
export interface OtherEngine {
  readonly name: string;
  /** The command before a script's name. */
  readonly command: readonly string[];
  readonly hasStore: boolean;
  readonly depth?: Depth;
}

/** Those that run here, and why others do not. */
export interface OtherEngines {
  /** Other versions of Node. */
  readonly nodes: readonly string[];
  readonly engines: readonly OtherEngine[];
  readonly missing: readonly string[];
}

/** The engines; `fetch`: those that are not here are fetched from npm. */
export function otherEngines(fetch: boolean): OtherEngines {
  const nodes: string[] = [];
  const engines: OtherEngine[] = [];
  const missing: string[] = [];
  let tries = fetch;
  for (const kind of KINDS) {
    const why = find(kind) === null && tries ? install(kind) : null;
    // Without a network one wait is enough.
    if (why !== null) tries = false;
    const binary = find(kind);
    if (binary === null) {
      missing.push(why ?? `${kind.name} is not here: --fetch gets ${kind.package} from npm`);
    } else if (kind.isNode === true) {
      nodes.push(binary);
    } else {
      const { flags, hasStore = false, depth } = kind;
      const deep = depth === undefined ? {} : { depth: depth(binary) };
      engines.push({ name: versionOf(kind, binary), command: [binary, ...flags], hasStore, ...deep });
    }
  }
  return { nodes, engines, missing };
}

function find({ binary }: Kind): string | null {
  // Some platforms have two packages, for processors with and without newer instructions.
  const candidates = globSync(binary, { cwd: HOME }).map((name) => join(HOME, name));
  return candidates.find((file) => spawnSync(file, ["--version"]).status === 0) ?? null;
}

/** Null, or why it could not be had. */
function install({ name, package: wanted }: Kind): string | null {
  mkdirSync(HOME, { recursive: true });
  const manifest = join(HOME, "package.json");
  if (!existsSync(manifest)) writeFileSync(manifest, '{ "private": true }\n');
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--fetch-retries=1"];
  try {
    execFileSync("npm", ["install", ...flags, wanted], { cwd: HOME, stdio: "pipe", timeout: FETCH_MS });
    return null;
  } catch (error) {
    return `${name} could not be had from npm: ${(error as Error).message.split("\n")[0]}`;
  }
}

function versionOf({ name }: Kind, binary: string): string {
  const { stdout } = spawnSync(binary, ["--version"], { encoding: "utf8" });
  return `${name} ${/\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? "of an unknown version"}`;
}
