/**
 * A second node, on any machine: it takes a state from the first, and from there on makes each block again.
 * A block is a candidate until its id is the one that the first node says; only then it is committed. So a
 * node whose bytes differ is detected at the first block that does, and the replica is good up to there. A
 * block that upgrades the bank is one of these: the replica has the new program from then on, and needs no
 * sources of it.
 *
 * Its store is a producer's: when the first node is gone, serve it, and it continues.
 */

import { hash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Block, StillpointError, type StoreError } from "../../runtime/index.ts";
import { type ExportManifest, openImport, openReader } from "../../runtime/store.ts";
import { type Bank, openBank } from "./bank.ts";
import type { BlockReply } from "./routes.ts";

/** What is replicated, and where to. */
export interface ReplicaOptions {
  /** The first node, as "http://127.0.0.1:8545". */
  readonly url: string;
  readonly store: string;
  /** The block to begin with, if that is known: else the first node is believed. */
  readonly id?: string;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly workers?: number;
  readonly onBlock?: (block: Block) => void;
  /** Called with the reason when something is tried again. */
  readonly onRetry?: (error: unknown) => void;
}

/** The nodes do not agree. */
export class Diverged extends StillpointError {}

/** While nothing is new, and while the first node does not answer. */
const WAIT_MS = 50;
const RETRY_MS = 500;
/** No answer is longer: a block's metadata has 16 MiB at most. */
const ANSWER_BYTES_MAX = 32 << 20;

/**
 * Replicates until the signal is aborted; resolves to the last block, null: not even the first has come.
 *
 * @throws Diverged (DIVERGED, OTHER_CHAIN), StoreError
 */
export async function replicate(options: ReplicaOptions): Promise<Block | null> {
  let last: Block | null = null;
  try {
    if (!(await hasBlocks(options.store))) await untilDone(() => importState(options), options);
    const { store, workers } = options;
    await using bank = await openBank({ store, ...(workers === undefined ? {} : { workers }) });
    last = bank.head;
    for (;;) {
      const reply = await untilDone(() => nextBlock(options, bank.head), options);
      if (reply === null) await sleep(WAIT_MS, undefined, { signal: options.signal });
      else {
        last = await repeat(bank, reply);
        options.onBlock?.(last);
      }
    }
  } catch (error) {
    if (options.signal.aborted) return last;
    throw error;
  }
}

/** Makes a block again, and commits it if it is the same. */
async function repeat(bank: Bank, { height, id, parent, gasLimit, metadata }: BlockReply): Promise<Block> {
  if (parent !== bank.head.id) {
    const text = `block ${height} of the other node does not stand on ${bank.head.id}`;
    throw new Diverged("OTHER_CHAIN", text, { height });
  }
  const proposal = await bank.execute({
    message: Buffer.from(metadata, "base64"),
    gasLimit,
    allowUpgrade: true,
  });
  await using candidate = proposal.block;
  if (candidate.id !== id) {
    const text = `block ${height} is ${id} there and ${candidate.id} here: find out which is wrong`;
    throw new Diverged("DIVERGED", text, { height, there: id, here: candidate.id });
  }
  // Waited for here: at the end of the scope a candidate is released.
  return (await bank.commit(proposal)).block;
}

async function nextBlock({ url, signal }: ReplicaOptions, { height }: Block): Promise<BlockReply | null> {
  const answer = await download(`${url}/blocks/${height + 1}`, ANSWER_BYTES_MAX, signal);
  return answer === null ? null : (JSON.parse(answer.toString("utf8")) as BlockReply);
}

async function hasBlocks(store: string): Promise<boolean> {
  try {
    await (await openReader(store)).close();
    return true;
  } catch (error) {
    const { code } = error as StoreError;
    if (code === "STORE_MISSING" || code === "STORE_EMPTY") return false;
    throw error;
  }
}

/** Takes a state, and continues with one that was interrupted. Each chunk is checked as it comes. */
async function importState({ url, store, id, signal }: ReplicaOptions): Promise<void> {
  const answer = await download(`${url}/export`, ANSWER_BYTES_MAX, signal);
  if (answer === null) throw new Error(`${url} has no states for others`);
  const manifest = JSON.parse(answer.toString("utf8")) as ExportManifest;
  const wanted = id ?? manifest.block.id;
  await using importer = await openImport(store, wanted);
  while (importer.next < manifest.chunks.length) {
    const { next } = importer;
    const { hash: expected, bytes } = manifest.chunks[next] as ExportManifest["chunks"][number];
    const chunk = await download(`${url}/export/${wanted}/${next}`, bytes, signal);
    if (chunk === null) throw new Error(`${url} does not have block ${wanted} for others`);
    if (hash("sha256", chunk) !== expected) throw new Error(`chunk ${next} is not that of the manifest`);
    importer.take(chunk);
  }
  await importer.finish();
}

/** What is at a URL, null: nothing. */
async function download(url: string, limitBytes: number, signal: AbortSignal): Promise<Buffer | null> {
  const answer = await fetch(url, { signal, redirect: "error" });
  if (answer.status === 404) {
    await answer.body?.cancel();
    return null;
  }
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of answer.body ?? []) {
    bytes += part.length;
    if (bytes > limitBytes) throw new Error(`${url} answers more than ${limitBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Repeats what fails for want of an answer; what the runtime refuses is not tried again. */
async function untilDone<T>(work: () => Promise<T>, { signal, onRetry }: ReplicaOptions): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || error instanceof StillpointError) throw error;
      onRetry?.(error);
      await sleep(RETRY_MS, undefined, { signal });
    }
  }
}
