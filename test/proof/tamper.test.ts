/**
 * Proofs that somebody changed: none shows anything that is not true. A changed range in the same page may be
 * true; then it is the very proof that the runtime makes of it.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { ProofError, type Runtime, verify } from "../../runtime/index.ts";
import { check, type Sha256, type Statement } from "../../runtime/proof/format.ts";
import { quota } from "../driver.ts";
import { play, withRuntime } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";
import { type Path, pathsOf, withTrees } from "./trees.ts";

const ROUNDS = 20_000;
const sha256: Sha256 = (bytes) => createHash("sha256").update(bytes).digest();

interface Case {
  readonly name: string;
  readonly proof: Uint8Array;
  readonly statement: Statement;
}

/** Proofs of every kind. */
function cases(runtime: Runtime): Case[] {
  const { head } = runtime;
  const deepest = pathsOf(runtime, head).reduce((a, b) => (b.length > a.length ? b : a));
  const list: [name: string, path: Path, address: number, length: number][] = [
    ["bytes of the root", [], 0x100000, 40],
    ["bytes of two pages", [], 0x100ff8, 16],
    ["zeros", [], 0x4f0000, 70_000],
    ["no bytes", [], 0x100000, 0],
    ["bytes of a deep process", deepest, 0x100000, 40],
    ["beyond memory", [], 2 ** 32, 1],
    ["beyond a deep memory", deepest, 2 ** 32, 0],
    ["no such child", [77_777], 0, 0],
    ["no such descendant", [...deepest, 3, 5], 0, 0],
  ];
  return list.map(([name, path, address, length]) => {
    const proof = runtime.prove(path, address, length);
    return { name, proof, statement: verify(head.root, proof) };
  });
}

type Truth = (statement: Statement) => boolean;

/** Whether the runtime says the same. */
function truthOf(runtime: Runtime): Truth {
  return (statement) => {
    const { path } = statement;
    const address = statement.absent === "process" ? 0 : statement.address;
    const length =
      statement.absent === null
        ? statement.bytes.length
        : statement.absent === "memory"
          ? statement.length
          : 0;
    const shown = verify(runtime.head.root, runtime.prove(path, address, length));
    if (shown.absent === null) assert.deepEqual(shown.bytes, runtime.read(path, address, length));
    return isDeepStrictEqual(shown, statement);
  };
}

/** Whether `proof` is refused as it should be, or shows what is true. */
function isHarmless(hash: Sha256, root: Uint8Array, proof: Uint8Array, isTrue: Truth): boolean {
  try {
    return isTrue(check(hash, root, proof, 2 ** 28));
  } catch (error) {
    if (error instanceof ProofError && error.code === "BAD_PROOF") return true;
    throw error;
  }
}

function flipped(proof: Uint8Array, bit: number): Uint8Array {
  const copy = proof.slice();
  copy[bit >>> 3] = (copy[bit >>> 3] as number) ^ (1 << (bit & 7));
  return copy;
}

test("a flipped bit is refused, but for another range of the same pages", async (t) => {
  await withTrees(baseSeed(t), 2, (runtime) => {
    const root = Buffer.from(runtime.head.root, "hex");
    const isTrue = truthOf(runtime);
    for (const { name, proof } of cases(runtime)) {
      const header = 20 + 4 * (proof[2] as number);
      for (let bit = 0; bit < header * 8; bit++) {
        assert.ok(isHarmless(sha256, root, flipped(proof, bit), isTrue), `${name}: bit ${bit}`);
      }
      // Bits of a page are alike: every seventh is enough where there are many.
      const step = proof.length > 2000 ? 7 : 1;
      for (let bit = header * 8; bit < proof.length * 8; bit += step) {
        assert.throws(() => verify(root, flipped(proof, bit)), ProofError, `${name}: bit ${bit}`);
      }
    }
  });
});

test("no shortened or lengthened proof is accepted", async (t) => {
  await withTrees(baseSeed(t), 2, (runtime) => {
    const { root } = runtime.head;
    for (const { name, proof } of cases(runtime)) {
      for (let length = 0; length < proof.length; length++) {
        const refused = (error: unknown): boolean =>
          error instanceof ProofError && ["truncated", "unknown-version"].includes(error.reason);
        assert.throws(() => verify(root, proof.subarray(0, length)), refused, `${name}: ${length}`);
      }
      for (const more of [new Uint8Array(1), proof, Uint8Array.of(1)]) {
        const longer = Buffer.concat([proof, more]);
        assert.throws(() => verify(root, longer), { reason: "trailing-bytes" }, name);
      }
    }
  });
});

/** Changes at random, of the kinds that make sense for a format of tables and hashes. */
function mutate(
  next: (limit: number) => number,
  proofs: readonly Uint8Array[],
  proof: Uint8Array,
): Uint8Array {
  const other = proofs[next(proofs.length)] as Uint8Array;
  const at = next(proof.length);
  const from = next(other.length);
  const size = [1, 4, 8, 32, 89, 36, 4096][next(7)] as number;
  const kind = next(6);
  const parts = (...list: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(list));
  if (kind === 0) return parts(proof.subarray(0, at), other.subarray(from));
  if (kind === 1)
    return parts(proof.subarray(0, at), other.subarray(from, from + size), proof.subarray(at + size));
  if (kind === 2) return parts(proof.subarray(0, at), proof.subarray(at + size));
  if (kind === 3) return parts(proof.subarray(0, at), other.subarray(from, from + size), proof.subarray(at));
  if (kind === 4) {
    const zeros = proof.slice();
    zeros.fill(0, at, at + size);
    return zeros;
  }
  // The statement alone: path, address or length.
  const copy = proof.slice();
  const header = 20 + 4 * (proof[2] as number);
  const word = 4 * next(header / 4);
  new DataView(copy.buffer).setUint32(word, next(2) === 0 ? next(100) : next(2 ** 32), true);
  return copy;
}

/** The number of the first of `rounds` mutated proofs that shows something untrue, null if none does. */
function fuzz(runtime: Runtime, seed: number, hash: Sha256, root: Uint8Array, isTrue: Truth): number | null {
  const proofs = cases(runtime).map(({ proof }) => proof);
  const next = random(seed);
  for (let i = 0; i < ROUNDS; i++) {
    const proof = proofs[next(proofs.length)] as Uint8Array;
    if (!isHarmless(hash, root, mutate(next, proofs, proof), isTrue)) return i;
  }
  return null;
}

test("a spliced proof shows nothing untrue", async (t) => {
  const seed = baseSeed(t);
  await withTrees(seed + 1, 2, (runtime) => {
    const root = Buffer.from(runtime.head.root, "hex");
    assert.equal(fuzz(runtime, seed, sha256, root, truthOf(runtime)), null);
  });
});

test("the fuzzer finds a hash that leaves out the start of what it hashes", async (t) => {
  const seed = baseSeed(t);
  // Of a record: prefix, program and size of the memory; of a node: prefix, bitmap and the first hash.
  const weak: Sha256 = (bytes) => sha256(bytes.length === 4096 ? bytes : bytes.subarray(40));
  await withTrees(seed + 1, 2, (runtime) => {
    let root: Uint8Array = new Uint8Array();
    const recording: Sha256 = (bytes) => {
      root = weak(bytes);
      return root;
    };
    const refused = { reason: "wrong-root" };
    assert.throws(() => check(recording, new Uint8Array(32), runtime.prove([], 0, 0), 0), refused);
    assert.notEqual(fuzz(runtime, seed, weak, root, truthOf(runtime)), null);
  });
});

test("a long range of zeros is laid out only if the caller wants it", async () => {
  await withRuntime([], { memoryQuotaPages: quota(60_000) }, async (runtime) => {
    await play(runtime, (script) => script.grow(6000));
    const { root } = runtime.head;
    const proof = runtime.prove([], 6_000_000, 300_000_000);
    assert.ok(proof.length < 1000);
    assert.throws(() => verify(root, proof), { code: "BAD_PROOF", reason: "too-long" });
    assert.throws(() => verify(root, proof, { lengthLimit: 299_999_999 }), { reason: "too-long" });
    const forged = flipped(proof, 8 * 30);
    assert.throws(() => verify(root, forged, { lengthLimit: 2 ** 33 }), { reason: "wrong-root" });
    const statement = verify(root, proof, { lengthLimit: 300_000_000 });
    assert.ok(statement.absent === null && statement.bytes.length === 300_000_000);
  });
});

test("a proof says why it is refused, and where", async () => {
  await withRuntime([], {}, (runtime) => {
    const { root } = runtime.head;
    const proof = runtime.prove([9], 0, 0);
    const refused = (change: (view: DataView, bytes: Uint8Array) => void, reason: string): void => {
      const copy = proof.slice();
      change(new DataView(copy.buffer), copy);
      assert.throws(() => verify(root, copy), { name: "ProofError", code: "BAD_PROOF", reason }, reason);
    };
    refused((view) => view.setUint8(0, 1), "unknown-version");
    refused((view) => view.setUint8(1, 1), "unknown-version");
    refused((view) => view.setUint8(3, 1), "unknown-version");
    refused((view) => view.setUint32(4, 1 << 20, true), "bad-path");
    refused((view) => view.setUint32(12, 1 << 21, true), "bad-range");
    refused((view) => view.setUint32(8, 1, true), "not-canonical");
    refused((view) => view.setUint16(24, 0xffff, true), "not-canonical");
    refused((_, bytes) => bytes.fill(0, 26, 58), "not-canonical");
    refused((view) => view.setUint8(26, view.getUint8(26) ^ 1), "wrong-root");
    return Promise.resolve();
  });
});
