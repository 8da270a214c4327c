/**
 * The input log by itself: what was appended is read, whatever of the last frame did not reach the disk, and
 * nothing else is taken for a frame.
 */

import assert from "node:assert/strict";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { InputLog, type LogFrame, type LogPlace, SECTOR_BYTES } from "../../runtime/store/log.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";
import { withDirectory } from "./directory.ts";

const RING = 32 * SECTOR_BYTES;

function withLog(use: (directory: string, place: LogPlace) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    mkdirSync(directory);
    await use(directory, await InputLog.create(directory, RING));
  });
}

const fileOf = (directory: string): string => `${directory}/inputs.log`;
const texts = (frames: readonly LogFrame[]): string[] => frames.map(({ body }) => body.toString("latin1"));

/** The texts that a log holds which begins at `place`. */
function read(directory: string, place: LogPlace): string[] {
  return texts(InputLog.read(directory, place).frames);
}

/** A text of so many bytes that is like no other. */
const text = (number: number, length: number): string => `${number} `.padEnd(length, `${number}.`);

test("frames are read in the order in which they were appended", async () => {
  await withLog(async (directory, place) => {
    const { log, frames } = InputLog.read(directory, place);
    assert.deepEqual(frames, []);
    const all = [text(1, 0), text(2, SECTOR_BYTES - 48), text(3, SECTOR_BYTES - 47), text(4, 20_000)];
    for (const [i, one] of all.entries()) {
      await log.append(Buffer.from(one));
      assert.deepEqual(read(directory, place), all.slice(0, i + 1));
    }
    await log.close();
  });
});

test("a ring goes round as often as it likes, and holds what was not released", async (t) => {
  const next = random(baseSeed(t));
  await withLog(async (directory, place) => {
    let { log } = InputLog.read(directory, place);
    let from = place;
    let kept: string[] = [];
    let marks = [from as Pick<LogPlace, "position" | "check" | "epoch">];
    for (let number = 0; number < 400; number++) {
      const one = text(number, next(5 * SECTOR_BYTES));
      if (log.accepts(one.length) === "later") {
        // A checkpoint of the older ones.
        const gone = 1 + next(kept.length);
        from = log.placeAt(marks[gone] as LogPlace);
        log.release(from);
        kept = kept.slice(gone);
        marks = marks.slice(gone);
      }
      if (log.accepts(one.length) !== "now") continue;
      await log.append(Buffer.from(one));
      kept.push(one);
      marks.push(log.end);
      if (next(20) !== 0) continue;
      await log.close();
      const again = InputLog.read(directory, from);
      assert.deepEqual(texts(again.frames), kept);
      log = again.log;
      log.release(from);
    }
    assert.ok(log.end.position > 5 * RING);
    await log.close();
  });
});

test("what is too large, or has no room, is refused before anything is written", async () => {
  await withLog(async (directory, place) => {
    const { log } = InputLog.read(directory, place);
    assert.equal(log.accepts(RING / 4 - 48), "now");
    assert.equal(log.accepts(RING / 4 - 47), "never");
    for (let i = 0; i < 4; i++) await log.append(Buffer.alloc(RING / 4 - 48, i));
    assert.equal(log.accepts(0), "later");
    await assert.rejects(log.append(Buffer.alloc(1)), /no room/);
    log.release(log.end);
    assert.equal(log.accepts(0), "now");
    await log.close();
  });
});

/** Opens a log in which of the last frame only some sectors reached the disk, some of them in part. */
async function torn(t: TestContext, wraps: boolean): Promise<void> {
  const next = random(baseSeed(t));
  await withLog(async (directory, first) => {
    let { log } = InputLog.read(directory, first);
    if (wraps) {
      for (let i = 0; i < 7; i++) await log.append(Buffer.alloc(RING / 8 - 48, i));
      log.release(log.end);
    }
    const place = log.placeAt(log.end);
    const kept = [text(1, 5000), text(2, 10)];
    for (const one of kept) await log.append(Buffer.from(one));
    const before = readFileSync(fileOf(directory));
    const lost = text(3, 4 * SECTOR_BYTES);
    await log.append(Buffer.from(lost));
    await log.close();
    const after = readFileSync(fileOf(directory));
    const changed: number[] = [];
    for (let at = 0; at < after.length; at += SECTOR_BYTES) {
      const sector = after.subarray(at, at + SECTOR_BYTES);
      if (!sector.equals(before.subarray(at, at + SECTOR_BYTES))) changed.push(at);
    }
    assert.equal(changed.length, 5);
    const start = log.end.position - 5 * SECTOR_BYTES;
    const logical = (file: Buffer): Buffer => {
      const ring = file.subarray(SECTOR_BYTES);
      const at = start % RING;
      return Buffer.concat([ring.subarray(at), ring.subarray(0, at)]).subarray(0, 48 + lost.length);
    };
    const subsets = 2 ** changed.length;
    const cases = Array.from({ length: subsets }, (_, subset) => ({ subset, tornAt: 0 }));
    // Subsets of which the last sector is torn, all prefixes of the write among them.
    for (let i = 0; i < 300; i++) cases.push({ subset: next(subsets), tornAt: 1 + next(SECTOR_BYTES - 1) });
    for (const { subset, tornAt } of cases) {
      const file = Buffer.from(before);
      for (const [i, at] of changed.entries()) {
        if (((subset >> i) & 1) === 0) continue;
        const isTorn = tornAt > 0 && subset >> (i + 1) === 0;
        after.copy(file, at, at, at + (isTorn ? tornAt : SECTOR_BYTES));
      }
      writeFileSync(fileOf(directory), file);
      const again = InputLog.read(directory, place);
      const found = texts(again.frames);
      // What is torn of the last sector may be behind the frame's end.
      const isWhole = logical(file).equals(logical(after));
      assert.ok(found.join() === (isWhole ? [...kept, lost] : kept).join(), `subset ${subset}, at ${tornAt}`);
      // It continues behind what is there.
      log = again.log;
      await log.append(Buffer.from("next"));
      await log.close();
      assert.deepEqual(read(directory, place), [...found, "next"]);
    }
  });
}

test("of a frame that was not written whole nothing is read", (t) => torn(t, false));
test("... where it lies around the end of the ring", (t) => torn(t, true));

test("a damaged frame before a whole one is damage, and not the end", async (t) => {
  const next = random(baseSeed(t));
  await withLog(async (directory, place) => {
    const { log } = InputLog.read(directory, place);
    for (let i = 0; i < 4; i++) await log.append(Buffer.from(text(i, 3000)));
    await log.close();
    const whole = readFileSync(fileOf(directory));
    for (let i = 0; i < 200; i++) {
      const at = SECTOR_BYTES + next(3) * SECTOR_BYTES + next(3048);
      const file = Buffer.from(whole);
      file[at] = (file[at] as number) ^ (1 << next(8));
      writeFileSync(fileOf(directory), file);
      assert.throws(() => read(directory, place), { code: "STORE_CORRUPT" }, `bit at ${at}`);
    }
  });
});

test("the file of another store, a cut one and none are errors", async () => {
  await withLog(async (directory, place) => {
    const whole = readFileSync(fileOf(directory));
    writeFileSync(fileOf(directory), whole.subarray(0, -1));
    assert.throws(() => read(directory, place), { code: "STORE_CORRUPT" });
    writeFileSync(fileOf(directory), whole.subarray(0, 10));
    assert.throws(() => read(directory, place), { code: "STORE_CORRUPT" });
    await InputLog.create(directory, RING);
    assert.throws(() => read(directory, place), { code: "STORE_CORRUPT" });
    await InputLog.remove(directory);
    assert.throws(() => read(directory, place), { code: "STORE_MISSING" });
  });
});

test("bytes of a user that look like a frame are none", async () => {
  await withLog(async (directory, place) => {
    // Frames of a log with another epoch, where a body will have them.
    const { log: other } = InputLog.read(directory, place);
    for (let i = 0; i < 6; i++) await other.append(Buffer.from(text(i, 100)));
    const frames = readFileSync(fileOf(directory)).subarray(2 * SECTOR_BYTES);
    const mark = other.restart;
    const { log } = InputLog.read(directory, { ...place, ...mark, position: 0 });
    await log.append(Buffer.concat([Buffer.alloc(SECTOR_BYTES - 48), frames.subarray(0, 4 * SECTOR_BYTES)]));
    // The first sector is lost: what is behind must not be read, nor be taken for damage.
    const descriptor = openSync(fileOf(directory), "r+");
    writeSync(descriptor, Buffer.alloc(SECTOR_BYTES), 0, SECTOR_BYTES, SECTOR_BYTES);
    closeSync(descriptor);
    assert.deepEqual(read(directory, { ...place, ...mark, position: 0 }), []);
    await log.close();
    await other.close();
  });
});

test("a log that starts again holds nothing, and takes frames again after a failure", async () => {
  await withLog(async (directory, place) => {
    const { log } = InputLog.read(directory, place);
    await log.append(Buffer.from("one"));
    // What a disk does that fails: the frame may be there all the same.
    const write = log as unknown as { append(body: Buffer): Promise<void> };
    const { log: same } = InputLog.read(directory, place);
    await same.append(Buffer.from("not acknowledged"));
    await same.close();
    const mark = log.restart;
    log.beginAnew(mark);
    assert.deepEqual(read(directory, log.placeAt(mark)), []);
    await write.append(Buffer.from("two"));
    assert.deepEqual(read(directory, log.placeAt(mark)), ["two"]);
    await log.close();
  });
});
