/**
 * What is known of a guest with contracts, on the thread of the compiler, whose parser it takes; and how that
 * is kept.
 */

import { readdirSync, readFileSync } from "node:fs";
import { analyseGuest, type Sources } from "../typed/build.ts";
import type { Lock, TypedGuest } from "../typed/guest.ts";
import { isSdk, type Read, readSource, readsOf, sha256 } from "./sources.ts";

/** What is analysed. */
export interface Analysis {
  /** The entry, relative to `base`. */
  readonly source: string;
  readonly base: string;
  readonly lock: Lock | null;
  /** Whether `debug` prints, as in tests only. */
  readonly prints: boolean;
}

/** The sources below a base directory. */
export function sourcesIn(base: string): Sources {
  return { read: (path) => readSource(base, path), isSdk: (path) => isSdk(base, path) };
}

/**
 * Analyses, and returns which files were read.
 *
 * @throws UsageError E_GUEST_COMPILE
 */
export async function runAnalysis({
  source,
  base,
  lock,
  prints,
}: Analysis): Promise<{ readonly typed: TypedGuest | null; readonly reads: readonly Read[] }> {
  const seen = new Map<string, string | null>();
  const sources = sourcesIn(base);
  const read = async (path: string): Promise<string | null> => {
    const content = await sources.read(path);
    seen.set(path, content === null ? null : sha256(content));
    return content;
  };
  const typed = await analyseGuest(source, { ...sources, read }, lock, prints);
  return { typed, reads: readsOf(seen) };
}

/** As it is kept. */
export function encodeTyped(typed: TypedGuest | null): Uint8Array {
  return Buffer.from(JSON.stringify(typed && { ...typed, texts: [...typed.texts], docs: [...typed.docs] }));
}

/** As it was. */
export function decodeTyped(bytes: Uint8Array): TypedGuest | null {
  const kept = JSON.parse(new TextDecoder().decode(bytes));
  return kept && { ...kept, texts: new Map(kept.texts), docs: new Map(kept.docs) };
}

let version: string | undefined;

/** Of the analysis itself: the hash of its code. */
export function analysisVersion(): string {
  if (version === undefined) {
    const folder = new URL("../typed/", import.meta.url);
    const names = readdirSync(folder).filter((name) => /(?<!\.d)\.[jt]s$/.test(name));
    version = sha256(
      names
        .sort()
        .map((name) => `${name} ${readFileSync(new URL(name, folder), "utf8")}`)
        .join(),
    );
  }
  return version;
}
