/**
 * The messages between host and root: a job as a block's metadata, and its result in the block's data.
 * guest/root.ts beside this file draws both formats; offsets below are its.
 */

import { createHash } from "node:crypto";
import { UsageError } from "../../runtime/errors.ts";

const VERSION = 1;
const JOB_DIGEST = 1;
const JOB_PICTURE = 2;
const COMMON_BYTES = 64;
const PICTURE_BYTES = 104;
/** Data to digest begins at a page of its own, so that children share it instead of copying. */
const DIGEST_DATA = 4096;
const RESULT_HEADER_BYTES = 32;

export const CHILDREN_MAX = 256;

export interface DigestJob {
  readonly kind: "digest";
  readonly data: Uint8Array;
  readonly chunkBytes: number;
  /** How often each chunk is hashed, its digest so far put before it. */
  readonly rounds: number;
}

/** A part of the Mandelbrot set: pixel (x, y) is the point (left + x × step, top - y × step). */
export interface PictureJob {
  readonly kind: "picture";
  readonly width: number;
  readonly height: number;
  readonly iterations: number;
  readonly bytesPerPixel: 1 | 3;
  readonly left: number;
  readonly top: number;
  readonly step: number;
}

export type Job = DigestJob | PictureJob;

/** The workers of the job: this many children with the program of this hash, each with this much gas. */
export interface Crew {
  readonly children: number;
  readonly workerProgram: Uint8Array;
  readonly gasPerChild: number;
}

export function encodeJob(job: Job, { children, workerProgram, gasPerChild }: Crew): Uint8Array {
  const bytes = new Uint8Array(job.kind === "digest" ? DIGEST_DATA + job.data.length : PICTURE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, VERSION, true);
  view.setUint32(4, job.kind === "digest" ? JOB_DIGEST : JOB_PICTURE, true);
  view.setUint32(8, children, true);
  bytes.set(workerProgram, 16);
  view.setBigUint64(48, BigInt(gasPerChild), true);
  if (job.kind === "digest") {
    view.setUint32(COMMON_BYTES, job.chunkBytes, true);
    view.setUint32(COMMON_BYTES + 4, job.rounds, true);
    view.setUint32(COMMON_BYTES + 8, job.data.length, true);
    bytes.set(job.data, DIGEST_DATA);
  } else {
    view.setUint32(COMMON_BYTES, job.width, true);
    view.setUint32(COMMON_BYTES + 4, job.height, true);
    view.setUint32(COMMON_BYTES + 8, job.iterations, true);
    view.setUint32(COMMON_BYTES + 12, job.bytesPerPixel, true);
    view.setFloat64(COMMON_BYTES + 16, job.left, true);
    view.setFloat64(COMMON_BYTES + 24, job.top, true);
    view.setFloat64(COMMON_BYTES + 32, job.step, true);
  }
  return bytes;
}

/**
 * The result in a block's data: a SHA-256, or pixels row by row.
 *
 * @throws {UsageError} BAD_BLOCK_DATA when it is not what this root writes
 */
export function decodeJobResult(data: Uint8Array): Uint8Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const length = data.length < RESULT_HEADER_BYTES ? 0 : view.getUint32(12, true);
  if (data.length !== RESULT_HEADER_BYTES + length || view.getUint32(0, true) !== VERSION) {
    const message = `block data: ${data.length} bytes are no result of a job; is this the parallel root?`;
    throw new UsageError("BAD_BLOCK_DATA", message, { bytes: data.length });
  }
  return data.subarray(RESULT_HEADER_BYTES);
}

/** What the children together should find, computed here one chunk after the other. */
export function referenceDigest({ data, chunkBytes, rounds }: DigestJob): Uint8Array {
  const sha256 = (...parts: Uint8Array[]): Uint8Array => {
    const hash = createHash("sha256");
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  const digests: Uint8Array[] = [];
  for (let at = 0; at < data.length; at += chunkBytes) {
    const chunk = data.subarray(at, at + chunkBytes);
    let digest = sha256(chunk);
    for (let round = 1; round < rounds; round++) digest = sha256(digest, chunk);
    digests.push(digest);
  }
  return sha256(...digests);
}
