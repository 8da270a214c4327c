/** What ProgramCache keeps, and that it finds damage. */

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { AdmissionError, admit, instrumentForBatch } from "../../runtime/program/admit.ts";
import { ProgramCache } from "../../runtime/program/cache.ts";
import { entry } from "./build.ts";

const directory = await mkdtemp(join(tmpdir(), "stillpoint-programs-"));
after(() => rm(directory, { recursive: true }));
const bytes = entry((code) => code.get(0));

test("a program is admitted once, and given again", async () => {
  const cache = new ProgramCache();
  assert.equal(await cache.admit(bytes), await cache.admit(bytes.slice()));
});

test("a rejection is given again, and not kept as a program", async () => {
  const cache = new ProgramCache(directory);
  for (let again = 0; again < 2; again++) await assert.rejects(cache.admit(Uint8Array.of(1)), AdmissionError);
});

test("a file is read back as it was written", async () => {
  const program = await new ProgramCache(directory).admit(bytes);
  const [file] = await readdir(directory);
  assert.ok(file !== undefined);
  const before = await readFile(join(directory, file));
  assert.deepEqual(await new ProgramCache(directory).admit(bytes), program);
  assert.deepEqual(await readFile(join(directory, file)), before);
});

test("the batch variant is kept beside it", async () => {
  const own = await mkdtemp(join(tmpdir(), "stillpoint-programs-"));
  try {
    const cache = new ProgramCache(own);
    const program = await cache.admit(bytes);
    const code = instrumentForBatch(bytes, program.stateBytes);
    assert.deepEqual(await cache.batchCode(program), code);
    assert.equal(await cache.batchCode(program), await cache.batchCode(program));
    assert.equal((await readdir(own)).length, 2);
    assert.deepEqual(await new ProgramCache(own).batchCode(program), code);
  } finally {
    await rm(own, { recursive: true });
  }
});

test("a damaged file is replaced, whatever the damage", async () => {
  const [file] = await readdir(directory);
  const path = join(directory, file as string);
  const good = await readFile(path);
  const flipped = Buffer.from(good);
  flipped[good.length - 20] = (flipped[good.length - 20] as number) ^ 1;
  for (const damaged of [Buffer.alloc(0), good.subarray(0, good.length / 2), flipped, Buffer.alloc(100, 7)]) {
    await writeFile(path, damaged);
    assert.deepEqual(await new ProgramCache(directory).admit(bytes), admit(bytes));
    assert.deepEqual(await readFile(path), good);
  }
});

test("a directory that cannot be written is no error", async () => {
  const file = join(directory, "file");
  await writeFile(file, "");
  assert.deepEqual(await new ProgramCache(join(file, "below")).admit(bytes), admit(bytes));
});
