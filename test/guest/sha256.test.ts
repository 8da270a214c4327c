/**
 * SHA-256 of the guest SDK: vectors of FIPS 180-4 and NIST's CAVP, and node:crypto on random messages and
 * cuts.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import fc from "fast-check";
import { type Guest, instantiate, ROOT, SEED } from "./harness.ts";

interface Vector {
  readonly name: string;
  /** The message: text, repeated. */
  readonly text?: string;
  readonly hex?: string;
  readonly repeat?: number;
  readonly digest: string;
}

let guest: Guest;
let data = 0;
let target = 0;
let state = 0;

before(async () => {
  guest = await instantiate("test/guests/sdk.ts");
  target = guest.call("scratch");
  state = target + 64;
  data = target + 256;
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function oneShot(message: Uint8Array): string {
  guest.write(data, message);
  guest.call("sha256_hash", data, message.length, target);
  return hex(guest.bytes(target, 32));
}

function inParts(message: Uint8Array, cuts: readonly number[]): string {
  guest.call("sha256_begin", state);
  let from = 0;
  for (const cut of [...cuts, message.length]) {
    const to = Math.min(from + cut, message.length);
    guest.write(data, message.subarray(from, to));
    guest.call("sha256_update", state, data, to - from);
    from = to;
  }
  guest.call("sha256_end", state, target);
  return hex(guest.bytes(target, 32));
}

test("the published vectors hold, at once and in parts", () => {
  const vectors: Vector[] = JSON.parse(readFileSync(join(ROOT, "test/vectors/sha256.json"), "utf8"));
  for (const { name, text, hex: digits, repeat, digest } of vectors) {
    const once = digits === undefined ? Buffer.from(text ?? "") : Buffer.from(digits, "hex");
    const message = Buffer.concat(Array.from({ length: repeat ?? 1 }, () => once));
    if (message.length < 1 << 19) assert.equal(oneShot(message), digest, name);
    assert.equal(
      inParts(message, Array(Math.ceil(message.length / 4000)).fill(4000)),
      digest,
      `${name}, in parts`,
    );
  }
});

test("every length around the block size agrees with node:crypto", () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 151) & 255);
  for (let length = 0; length <= bytes.length; length++) {
    const message = bytes.subarray(0, length);
    const digest = createHash("sha256").update(message).digest("hex");
    assert.equal(oneShot(message), digest, `${length} bytes`);
    assert.equal(inParts(message, [1, 62, 1, 64, 65]), digest, `${length} bytes, in parts`);
  }
});

test("random messages in random parts agree with node:crypto", () => {
  const cuts = fc.array(fc.nat(200), { maxLength: 20 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), cuts, (message, parts) => {
      const digest = createHash("sha256").update(message).digest("hex");
      assert.equal(oneShot(message), digest);
      assert.equal(inParts(message, parts), digest);
    }),
    { seed: SEED, numRuns: 200 },
  );
});

test("the hash may replace the data", () => {
  guest.write(data, Buffer.from("abc"));
  guest.call("sha256_hash", data, 3, data);
  assert.equal(hex(guest.bytes(data, 4)), "ba7816bf", "the hash stands at the message's place");
});
