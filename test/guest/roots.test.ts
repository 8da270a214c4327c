/** The parallel example's root and its children, talking through the toy kernel. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import {
  decodeJobResult,
  encodeJob,
  type Job,
  type PictureJob,
  referenceDigest,
} from "../../examples/parallel/job.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { ROOT, random } from "./harness.ts";
import { programHash, Toy } from "./toy.ts";

const code = new Map<string, Uint8Array>();

before(async () => {
  for (const name of ["parallel/guest/root", "parallel/guest/worker"]) {
    code.set(name, await compileGuest(join(ROOT, "examples", `${name}.ts`)));
  }
});

// ---- parallel ---------------------------------------------------------------------------------------------

function runJob(job: Job, children: number, change: (view: DataView) => void = () => {}): Uint8Array {
  const worker = code.get("parallel/guest/worker")!;
  const message = encodeJob(job, { children, workerProgram: programHash(worker), gasPerChild: 1e9 });
  change(new DataView(message.buffer));
  const data = new Toy([worker]).run(code.get("parallel/guest/root")!, [message]);
  return decodeJobResult(data[1]!);
}

const next = random(4);
const bytes = Uint8Array.from({ length: 70_000 }, () => next() & 255);
const digestJob = { kind: "digest", data: bytes, chunkBytes: 4096, rounds: 3 } as const;

test("the digest is the reference's, whatever the number of children and the size of chunks", () => {
  for (const [length, chunkBytes, rounds] of [
    [70_000, 4096, 3],
    [69_632, 4096, 1],
    [1000, 1, 1],
    [1000, 0xffffffff, 2],
    [777, 100, 5],
    [0, 64, 1],
  ] as const) {
    const job = { kind: "digest", data: bytes.subarray(0, length), chunkBytes, rounds } as const;
    const expected = Buffer.from(referenceDigest(job)).toString("hex");
    for (const children of [1, 2, 3, 7, 256]) {
      assert.equal(
        Buffer.from(runJob(job, children)).toString("hex"),
        expected,
        `${length} ${chunkBytes} ${children}`,
      );
    }
  }
});

const pictureJob: PictureJob = {
  kind: "picture",
  width: 37,
  height: 23,
  iterations: 300,
  bytesPerPixel: 3,
  left: -2.2,
  top: 1.1,
  step: 0.09,
};

test("the picture is the reference's, whatever the number of children", () => {
  for (const bytesPerPixel of [1, 3] as const) {
    const job = { ...pictureJob, bytesPerPixel };
    const expected = referencePicture(job);
    for (const children of [1, 2, 5, 40]) assert.deepEqual(Uint8Array.from(runJob(job, children)), expected);
  }
  // More rows of one child than one request has ranges.
  const tall: PictureJob = { ...pictureJob, width: 1, height: 5000, iterations: 50, step: 0.0004 };
  assert.deepEqual(Uint8Array.from(runJob(tall, 2)), referencePicture(tall));
});

function referencePicture({
  width,
  height,
  iterations,
  bytesPerPixel,
  left,
  top,
  step,
}: PictureJob): Uint8Array {
  const pixels: number[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let [zr, zi, k] = [0, 0, 0];
      while (zr * zr + zi * zi <= 4 && k < iterations) {
        [zr, zi] = [zr * zr - zi * zi + (left + x * step), 2 * zr * zi + (top - y * step)];
        k++;
      }
      if (k === iterations) pixels.push(...Array<number>(bytesPerPixel).fill(0));
      else if (bytesPerPixel === 1) pixels.push(255 - (k % 200));
      else pixels.push((k * 7) & 255, (k * 3) & 255, (255 - k * 5) & 255);
    }
  }
  return Uint8Array.from(pixels);
}

const wrong: [name: string, job: Job, offset: number, value: number, expected: RegExp][] = [
  ["version", digestJob, 0, 2, /version: expected 1, got 2/],
  ["job", digestJob, 4, 3, /unknown job 3/],
  ["no children", digestJob, 8, 0, /0 children, not 1 to 256/],
  ["too many children", digestJob, 8, 257, /257 children/],
  ["reserved word", digestJob, 12, 1, /reserved word: expected 0, got 1/],
  ["reserved words", digestJob, 60, 1, /reserved words: not zero/],
  ["no chunk size", digestJob, 64, 0, /chunkBytes is 0/],
  ["no rounds", digestJob, 68, 0, /rounds is 0/],
  ["more data than there is", digestJob, 72, 70_001, /truncated: 70001 bytes/],
  ["less data than there is", digestJob, 72, 69_999, /1 bytes too many/],
  ["huge data", digestJob, 72, 0xffffffff, /4294967295 bytes of data/],
  ["padding", digestJob, 2000, 1, /padding of the header: not zero/],
  ["program", digestJob, 16, 0, /make a worker: E_BAD_PROGRAM/],
  ["no width", pictureJob, 64, 0, /a picture of 0 × 23 pixels/],
  ["huge height", pictureJob, 68, 0xffffffff, /a picture of 37 × 4294967295 pixels/],
  ["no iterations", pictureJob, 72, 0, /0 iterations/],
  ["bytes per pixel", pictureJob, 76, 2, /2 bytes per pixel/],
  ["infinite step", pictureJob, 100, 0x7ff00000, /not finite/],
];

for (const [name, job, offset, value, expected] of wrong) {
  test(`a job with a wrong part aborts: ${name}`, () => {
    assert.throws(() => runJob(job, 4, (view) => view.setUint32(offset, value, true)), expected);
  });
}
