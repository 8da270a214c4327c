/**
 * CometBFT's program: found in a cache folder, or built with Go. What a binary prints does not say its
 * version (0.40.0 prints 0.39.0); the module that it was built from, which Go writes into each binary and
 * `go version -m` prints, does.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../../runtime/index.ts";

/** Versions that the network is tested with. */
export const COMET_VERSIONS = ["0.38.26", "0.40.0"] as const;
export type CometVersion = (typeof COMET_VERSIONS)[number];

const MODULE = "github.com/cometbft/cometbft";
const BUILD_MS = 20 * 60_000;

/** The cache folder: that of STILLPOINT_COMETBFT, or one in the home directory. */
function cacheFolder(): string {
  return process.env.STILLPOINT_COMETBFT ?? join(homedir(), ".cache/stillpoint/cometbft");
}

/** The binary of this version in the cache folder; null: it is not there. */
export function findComet(version: CometVersion): string | null {
  const binary = join(cacheFolder(), version, "cometbft");
  if (!existsSync(binary)) return null;
  const isBuiltFrom = readFileSync(binary).includes(`mod\t${MODULE}\tv${version}\t`);
  if (isBuiltFrom) return binary;
  const text = `${binary} was not built from ${MODULE} ${version}: remove it, so that it is built again`;
  throw new UsageError("BAD_OPTION", text, { binary, version });
}

/**
 * The binary of this version: found, or built with `go install` into the cache folder, which takes minutes.
 *
 * @throws UsageError if it is not there, and Go is not either or cannot build it
 */
export function comet(version: CometVersion, say: (text: string) => void): string {
  const found = findComet(version);
  if (found !== null) return found;
  const folder = join(cacheFolder(), version);
  const target = `${MODULE}/cmd/cometbft@v${version}`;
  try {
    execFileSync("go", ["version"], { stdio: "ignore" });
  } catch {
    const text =
      `there is no CometBFT ${version} in ${folder}, and no Go to build it with: install Go, or put the ` +
      `binary there that "go install ${target}" makes`;
    throw new UsageError("BAD_OPTION", text, { version });
  }
  say(`building CometBFT ${version} into ${folder}: this takes minutes, once`);
  mkdirSync(folder, { recursive: true });
  try {
    const env = { ...process.env, GOBIN: folder };
    execFileSync("go", ["install", target], { env, stdio: "inherit", timeout: BUILD_MS });
  } catch (error) {
    const text = `Go could not build CometBFT ${version}: see above`;
    throw new UsageError("BAD_OPTION", text, { version }, { cause: error });
  }
  return findComet(version) as string;
}
