/** The PNG encoder writes chunks that a reader accepts, with the pixels in them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, inflateSync } from "node:zlib";
import { encodePng } from "../../examples/parallel/png.ts";

/** Name and content of each chunk, checksums compared. */
function chunks(file: Buffer): [string, Buffer][] {
  assert.equal(file.subarray(0, 8).toString("latin1"), "\x89PNG\r\n\x1a\n");
  const found: [string, Buffer][] = [];
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const body = file.subarray(at + 4, at + 8 + length);
    assert.equal(file.readUInt32BE(at + 8 + length), crc32(body));
    found.push([body.toString("latin1", 0, 4), body.subarray(4)]);
    at += 12 + length;
  }
  return found;
}

for (const [name, bytesPerPixel, colour] of [
  ["grey", 1, 0],
  ["coloured", 3, 2],
] as const) {
  test(`a ${name} picture of 3 × 2 pixels holds its rows`, () => {
    const row = 3 * bytesPerPixel;
    const pixels = Uint8Array.from({ length: 2 * row }, (_, i) => i + 1);
    const file = Buffer.from(encodePng({ width: 3, height: 2, bytesPerPixel, pixels }));
    const [header, data, end] = chunks(file);
    assert.deepEqual(header, ["IHDR", Buffer.from([0, 0, 0, 3, 0, 0, 0, 2, 8, colour, 0, 0, 0])]);
    assert.equal(data![0], "IDAT");
    assert.deepEqual([...inflateSync(data![1])], [0, ...pixels.subarray(0, row), 0, ...pixels.subarray(row)]);
    assert.deepEqual(end, ["IEND", Buffer.alloc(0)]);
  });
}
