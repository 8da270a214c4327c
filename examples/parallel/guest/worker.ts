/**
 * Child of the parallel example: hashes chunks, or computes rows of a picture. The root (root.ts) says what
 * it wants:
 *
 *   prepare(length)  address, divisible by 4096, of at least `length` bytes where the root copies the message
 *   digest(0)        address of the digests of all chunks, 32 bytes each
 *   picture(0)       address of the rows first, first + stride, …
 *
 * Messages:
 *   digest    0 u32 chunkBytes · 4 u32 rounds · 8 u32 dataBytes · at 4096 whole chunks but for the last
 *   picture   0 u32 width · 4 u32 height · 8 u32 iterations · 12 u32 bytesPerPixel
 *             16 f64 left · 24 f64 top · 32 f64 step · 40 u32 first · 44 u32 stride
 */

import { PageBuffer, SHA256_BYTES, Sha256 } from "../../../guest/index.ts";
import { DATA_OFFSET } from "./layout.ts";

const inbox = new PageBuffer();
const outbox = new PageBuffer();
const hashState: usize = memory.data(SHA256_BYTES, 8);

export function prepare(length: i64): i64 {
  return inbox.reserve(<u32>length);
}

export function digest(argument: i64): i64 {
  const message = inbox.address;
  const chunkBytes = load<u32>(message);
  const rounds = load<u32>(message, 4);
  const dataBytes = load<u32>(message, 8);
  const data = message + DATA_OFFSET;
  const digests = outbox.reserve(((dataBytes + chunkBytes - 1) / chunkBytes) * 32);
  let target = digests;
  for (let at: u32 = 0; at < dataBytes; at += chunkBytes) {
    const length = min<u32>(chunkBytes, dataBytes - at);
    Sha256.hash(data + at, length, target);
    for (let round: u32 = 1; round < rounds; round++) {
      Sha256.begin(hashState);
      Sha256.update(hashState, target, 32);
      Sha256.update(hashState, data + at, length);
      Sha256.end(hashState, target);
    }
    target += 32;
  }
  return digests;
}

export function picture(argument: i64): i64 {
  const message = inbox.address;
  const width = load<u32>(message);
  const height = load<u32>(message, 4);
  const iterations = load<u32>(message, 8);
  const bytesPerPixel = load<u32>(message, 12);
  const left = load<f64>(message, 16);
  const top = load<f64>(message, 24);
  const step = load<f64>(message, 32);
  const first = load<u32>(message, 40);
  const stride = load<u32>(message, 44);
  const pixels = outbox.reserve(((height - first + stride - 1) / stride) * width * bytesPerPixel);
  let target = pixels;
  for (let y = first; y < height; y += stride) {
    const imaginary = top - <f64>y * step;
    for (let x: u32 = 0; x < width; x++) {
      const k = escapeTime(left + <f64>x * step, imaginary, iterations);
      const inside = k == iterations;
      if (bytesPerPixel == 1) {
        store<u8>(target, inside ? 0 : <u8>(255 - (k % 200)));
      } else {
        store<u8>(target, inside ? 0 : <u8>(k * 7));
        store<u8>(target, inside ? 0 : <u8>(k * 3), 1);
        store<u8>(target, inside ? 0 : <u8>(255 - k * 5), 2);
      }
      target += bytesPerPixel;
    }
  }
  return pixels;
}

/** Steps of z = z² + c from 0 while |z|² ≤ 4, at most `iterations`. */
function escapeTime(real: f64, imaginary: f64, iterations: u32): u32 {
  let zr: f64 = 0;
  let zi: f64 = 0;
  let zr2: f64 = 0;
  let zi2: f64 = 0;
  let k: u32 = 0;
  while (zr2 + zi2 <= 4 && k < iterations) {
    zi = 2 * zr * zi + imaginary;
    zr = zr2 - zi2 + real;
    zr2 = zr * zr;
    zi2 = zi * zi;
    k++;
  }
  return k;
}
