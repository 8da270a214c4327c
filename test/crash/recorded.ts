/**
 * What a process writes to the files of a store, and when it syncs them, recorded by strace; and what a power
 * cut at some moment may leave of it.
 *
 * A kill loses nothing that was written, a power cut does. The model: what was written to a file before a
 * sync of it began is there once that has returned. Of what was written since, each sector of 512 bytes may
 * be there or not, in any combination; a sector is never half there (lmdb relies on that for its first pages;
 * the log of inputs needs less, which test/store/log.test.ts shows). A file that was made is there once its
 * directory was synced.
 */

import { spawnSync } from "node:child_process";
import { createReadStream, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { createInterface } from "node:readline";
import { random } from "../kernel/trees.ts";

const SECTOR_BYTES = 512;
const CALLS = "openat,lseek,write,writev,pwrite64,pwritev,fsync,fdatasync";
const FILES = ["data.mdb", "inputs.log"];

/** Something that happened: `began` and `ended` are places in the order of the record. */
interface Recorded {
  readonly began: number;
  readonly ended: number;
}

export interface Written extends Recorded {
  readonly file: string;
  readonly at: number;
  readonly bytes: Buffer;
  /** Its file was opened so that a write returns when it is durable. */
  readonly synced: boolean;
}

/** Of a file of the store by its name, or of a directory by its path. */
export interface Synced extends Recorded {
  readonly what: string;
}

export interface Recording {
  readonly store: string;
  readonly writes: readonly Written[];
  readonly syncs: readonly Synced[];
  readonly made: ReadonlyMap<string, number>;
  /** Lines of output, and when they were out. */
  readonly lines: readonly { readonly text: string; readonly ended: number }[];
  readonly end: number;
}

/** Why nothing can be recorded here, null: it can. */
export function cannotRecord(): string | null {
  const { status, error } = spawnSync("strace", ["-f", "-o", "/dev/null", "true"]);
  if (error !== undefined) return "there is no strace";
  return status === 0 ? null : "strace may not trace here";
}

/** Runs a program that writes to the directory `store` until it dies. */
export async function record(store: string, args: readonly string[], env: object): Promise<Recording> {
  const trace = `${store}.trace`;
  const options = ["-f", "--seccomp-bpf", "-y", "-xx", "-s", String(1 << 24), "-e", `trace=${CALLS}`];
  spawnSync("strace", [...options, "-e", "signal=none", "-o", trace, process.execPath, ...args], {
    env: { ...process.env, ...env, UV_USE_IO_URING: "0" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const parser = new Parser(store);
  for await (const line of createInterface(createReadStream(trace, "latin1"))) parser.line(line);
  return parser.recording();
}

class Parser {
  readonly #store: string;
  readonly #started = new Map<string, { began: number; text: string }>();
  readonly #syncedDescriptors = new Set<string>();
  readonly #writes: Written[] = [];
  readonly #syncs: Synced[] = [];
  readonly #made = new Map<string, number>();
  readonly #lines: { text: string; ended: number }[] = [];
  /** Where the next write without a position goes, by descriptor. */
  readonly #ends = new Map<string, number>();
  #now = 0;

  constructor(store: string) {
    this.#store = store;
  }

  line(line: string): void {
    const now = this.#now++;
    const [, thread = "", rest = ""] = /^(\d+) +(.*)$/s.exec(line) ?? [];
    const unfinished = / <unfinished \.\.\.>$/.exec(rest);
    if (unfinished !== null) {
      this.#started.set(thread, { began: now, text: rest.slice(0, unfinished.index) });
      return;
    }
    const resumed = /^<\.\.\. \w+ resumed>/.exec(rest);
    const started = this.#started.get(thread);
    if (resumed === null || started === undefined) this.#call(rest, now, now);
    else this.#call(started.text + rest.slice(resumed[0].length), started.began, now);
  }

  recording(): Recording {
    return {
      store: this.#store,
      writes: this.#writes,
      syncs: this.#syncs,
      made: this.#made,
      lines: this.#lines,
      end: this.#now,
    };
  }

  #call(text: string, began: number, ended: number): void {
    const [, name = "", result = ""] = /^(\w+)\(.*\) += (-?\d+)/s.exec(text) ?? [];
    if (name === "" || Number(result) < 0) return;
    if (name === "openat") {
      const path = textOf(/= \d+<([^>]*)>$/.exec(text)?.[1] ?? "");
      const file = this.#fileOf(path);
      if (file === null) return;
      if (text.includes("O_CREAT") && !this.#made.has(file)) this.#made.set(file, ended);
      const key = `${result} ${path}`;
      if (/O_D?SYNC/.test(text)) this.#syncedDescriptors.add(key);
      else this.#syncedDescriptors.delete(key);
      return;
    }
    const [, descriptor = "", where = ""] = /^\w+\((\d+)<([^>]*)>/.exec(text) ?? [];
    const path = textOf(where);
    if (name === "fsync" || name === "fdatasync") {
      this.#syncs.push({ what: this.#fileOf(path) ?? path, began, ended });
      return;
    }
    if (name === "write" && descriptor === "1") {
      const said = Buffer.concat(bytesIn(text)).toString("utf8");
      this.#lines.push({ text: said.trimEnd(), ended });
      return;
    }
    const file = this.#fileOf(path);
    if (file === null) return;
    const key = `${descriptor} ${path}`;
    if (name === "lseek") {
      this.#ends.set(key, Number(result));
      return;
    }
    const bytes = Buffer.concat(bytesIn(text)).subarray(0, Number(result));
    const position = /, (\d+)\) += \d+$/.exec(text)?.[1];
    const isNext = name === "write" || name === "writev";
    const at = isNext ? (this.#ends.get(key) ?? 0) : Number(position);
    if (isNext) this.#ends.set(key, at + bytes.length);
    const synced = this.#syncedDescriptors.has(key);
    this.#writes.push({ file, at, bytes, synced, began, ended });
  }

  /** The file's name, null: it is none of the store's. */
  #fileOf(path: string): string | null {
    return dirname(path) === this.#store && FILES.includes(basename(path)) ? basename(path) : null;
  }
}

/** A path that strace prints in hex. */
function textOf(hex: string): string {
  return Buffer.from(hex.replaceAll("\\x", ""), "hex").toString("utf8");
}

/** What strace prints in hex. */
function bytesIn(text: string): Buffer[] {
  return [...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = ""]) =>
    Buffer.from(hex.replaceAll("\\x", ""), "hex"),
  );
}

/** Which of the sectors that may be lost are kept. */
export type Keep = "none" | "all" | "some";

/** Makes a directory of what is left when the power is cut at the place `cut` of a recording. */
export function cutAt(recording: Recording, cut: number, keep: Keep, seed: number, path: string): void {
  const next = random(seed);
  const { store, writes, syncs, made } = recording;
  const isSynced = (what: string, since: number): boolean =>
    syncs.some((sync) => sync.what === what && sync.began >= since && sync.ended <= cut);
  if (!isSynced(dirname(store), 0)) return;
  mkdirSync(path);
  for (const [file, ended] of made) {
    // The worst: a name that may be lost is.
    if (ended > cut || !isSynced(store, ended)) continue;
    const pieces: { at: number; bytes: Buffer }[] = [];
    for (const write of writes) {
      if (write.file !== file || write.began > cut) continue;
      const durable = (write.synced && write.ended <= cut) || isSynced(file, write.ended);
      for (let from = 0; from < write.bytes.length; ) {
        const length = SECTOR_BYTES - ((write.at + from) % SECTOR_BYTES);
        const bytes = write.bytes.subarray(from, from + length);
        if (durable || keep === "all" || (keep === "some" && next(2) === 0)) {
          pieces.push({ at: write.at + from, bytes });
        }
        from += length;
      }
    }
    const content = Buffer.alloc(
      pieces.reduce((size, { at, bytes }) => Math.max(size, at + bytes.length), 0),
    );
    for (const { at, bytes } of pieces) bytes.copy(content, at);
    writeFileSync(`${path}/${file}`, content);
  }
}
