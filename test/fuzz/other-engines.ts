/**
 * JavaScript engines beside Node's, as second opinions: Deno, whose V8 is newer than Node's, and Bun, whose
 * engine (JavaScriptCore) shares no code with V8. They are packages of npm, kept in .cache/engines, and
 * fetched on demand: the project does not depend on them.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const HOME = fileURLToPath(new URL("../../.cache/engines", import.meta.url));

interface Kind {
  readonly name: string;
  /** The package, with the version that was tested. */
  readonly package: string;
  /** Where packages of platforms have the program; the package's own script would copy it. */
  readonly binary: string;
  /** Before the script's name. */
  readonly flags: readonly string[];
}

const KINDS: readonly Kind[] = [
  { name: "Deno", package: "deno@2.9.6", binary: "node_modules/@deno/*/deno", flags: ["run", "-A"] },
  { name: "Bun", package: "bun@1.4.5", binary: "node_modules/@oven/*/bin/bun", flags: [] },
];

/** An engine that runs here. */
export interface OtherEngine {
  readonly name: string;
  /** The command before a script's name. */
  readonly command: readonly string[];
}

/** Those that run here, and why others do not. */
export interface OtherEngines {
  readonly engines: readonly OtherEngine[];
  readonly missing: readonly string[];
}

/** The engines; `fetch`: those that are not here are fetched from npm. */
export function otherEngines(fetch: boolean): OtherEngines {
  const engines: OtherEngine[] = [];
  const missing: string[] = [];
  for (const kind of KINDS) {
    const why = find(kind) === null && fetch ? install(kind) : null;
    const binary = find(kind);
    if (binary !== null) engines.push({ name: versionOf(kind, binary), command: [binary, ...kind.flags] });
    else missing.push(why ?? `${kind.name} is not here: --fetch gets ${kind.package} from npm`);
  }
  return { engines, missing };
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
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
  try {
    execFileSync("npm", ["install", ...flags, wanted], { cwd: HOME, stdio: "pipe", timeout: 300_000 });
    return null;
  } catch (error) {
    return `${name} could not be had from npm: ${(error as Error).message.split("\n")[0]}`;
  }
}

function versionOf({ name }: Kind, binary: string): string {
  const { stdout } = spawnSync(binary, ["--version"], { encoding: "utf8" });
  return `${name} ${/\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? "of an unknown version"}`;
}
