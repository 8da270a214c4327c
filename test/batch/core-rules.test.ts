/** Single rules of the core (runtime/batch/layout.ts), call by call. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ACCUMULATE_PLAIN,
  CONTENDED,
  CONTENDED_SLOTS,
  ENTRY_BYTES,
  ENTRY_FLAGS,
  ENTRY_VERSION,
  ENTRY_WRITTEN,
  LINE_BYTES,
  STOP_ARENA,
  STOP_RERUNS,
  TASK_DONE,
  TASK_EXECUTE,
  TASK_IDLE,
  TASK_ITEM_SHIFT,
  TASK_VALIDATE,
  VERSION_BYTES,
  WORKER_AMOUNTS,
  WORKER_SIZE,
  WORKERS,
} from "../../runtime/batch/layout.ts";
import { Random } from "../program/random.ts";
import { baseSeed } from "../seed.ts";
import { CoreSubject, fill, type Settings } from "./engines.ts";
import { increment, runWindow, type Scenario } from "./scenario.ts";
import type { Program } from "./work.ts";

const execute = (item: number): number => (item << TASK_ITEM_SHIFT) | TASK_EXECUTE;
const validate = (item: number): number => (item << TASK_ITEM_SHIFT) | TASK_VALIDATE;

function settings(items: number, workers: number, others: Partial<Settings> = {}): Settings {
  const limits = Array.from({ length: items }, () => 10);
  return {
    ...{ workers, limits, gasTotal: 1e6, gasLeft: 1e6, spinLimit: 0, rerunLimit: 0, hints: [] },
    base: new Map(),
    ...others,
  };
}

/** Lines whose reads were found changed, and how often. */
function contended(words: Uint32Array): [line: number, count: number][] {
  return Array.from({ length: CONTENDED_SLOTS }, (_, slot): [number, number] => [
    words[CONTENDED / 4 + slot * 2]!,
    words[CONTENDED / 4 + slot * 2 + 1]!,
  ]).filter(([, count]) => count > 0);
}

/** Two items: worker 0 has executed item 0, which left 7 in line 5, and worker 1 item 1, which read that. */
function conflict(others: Partial<Settings> = {}) {
  const subject = new CoreSubject().begin(settings(2, 2, others));
  const { words } = subject.memory;
  const [one, two] = subject.workers.map((worker) => worker.core);
  assert.ok(one && two);
  subject.workers[0]?.enter();
  subject.workers[1]?.enter();
  const write = (value: number): number => {
    const entry = one.lookup(5);
    fill(words, entry + ENTRY_BYTES, 5, 0);
    fill(words, one.version(entry), 5, value);
    return one.finish(1, 0, 1);
  };
  assert.equal(one.next(), execute(0));
  assert.equal(two.next(), execute(1));
  assert.equal(write(7), validate(0));
  const entry = two.lookup(5);
  assert.equal(words[(entry + ENTRY_BYTES) / 4], 7);
  assert.equal(two.finish(1, 0, 1), validate(1));
  return { subject, words, one, two, write };
}

test("an estimate is not valid, although it has the bytes that were read", () => {
  const { one, two, write } = conflict();
  assert.equal(one.validate(), 1);
  assert.equal(one.finishValidation(0), execute(0)); // for a reason of the caller's
  assert.equal(two.validate(), 0);
  assert.equal(two.finishValidation(0), execute(1));
  assert.equal(two.lookup(5), 0, "an estimate is not read");
  assert.equal(two.giveUp(), TASK_IDLE);
  assert.equal(write(7), validate(0));
  assert.equal(two.next(), execute(1), "who waited is woken");
  assert.notEqual(two.lookup(5), 0);
});

test("an incarnation that leaves the bytes of the one before is no change", () => {
  const { one, two, write } = conflict();
  assert.equal(two.validate(), 1);
  assert.equal(two.finishValidation(1), TASK_IDLE);
  assert.equal(one.validate(), 1);
  assert.equal(one.finishValidation(0), execute(0));
  assert.equal(write(7), validate(0));
  assert.equal(one.validate(), 1);
  assert.equal(one.finishValidation(1), TASK_IDLE, "nothing has to be validated again");
  assert.deepEqual([one.commit(), one.commit(), one.commit()], [0, 1, -1]);
  assert.equal(two.next(), TASK_DONE);
});

test("a change makes validations of higher items too old for a commit", () => {
  const { one, two, write } = conflict();
  assert.equal(two.validate(), 1);
  assert.equal(two.finishValidation(1), TASK_IDLE);
  assert.equal(one.validate(), 1);
  assert.equal(one.finishValidation(0), execute(0));
  assert.equal(write(8), validate(0));
  assert.equal(one.validate(), 1);
  assert.equal(one.finishValidation(1), validate(1));
  assert.deepEqual([one.commit(), one.commit()], [0, -1]);
  assert.equal(one.validate(), 0);
  assert.equal(one.finishValidation(0), execute(1));
});

test("only the first abort of an incarnation counts", () => {
  const { one, two, subject } = conflict();
  assert.equal(one.validate(), 1);
  assert.equal(one.finishValidation(0), execute(0));
  assert.equal(two.validate(), 0);
  const { aborts } = subject.memory.totals();
  assert.equal(two.finishValidation(0), execute(1));
  assert.equal(two.finishValidation(0), TASK_IDLE, "the same verdict once more");
  assert.equal(subject.memory.totals().aborts, aborts + 1);
});

test("lines whose reads were found changed are named", () => {
  const { one, two, write, words } = conflict();
  assert.deepEqual(contended(words), []);
  one.validate();
  one.finishValidation(0);
  write(8);
  assert.equal(two.validate(), 0);
  two.finishValidation(0);
  assert.deepEqual(contended(words), [[5, 1]]);
});

test("too many reruns of an item stop the window", () => {
  const { one, two, subject } = conflict({ rerunLimit: 1 });
  assert.equal(one.validate(), 1);
  assert.equal(one.finishValidation(0), execute(0));
  const entry = one.lookup(9);
  assert.notEqual(entry, 0);
  assert.equal(one.finish(1, 0, 1), validate(0));
  assert.equal(one.validate(), 1);
  assert.equal(one.finishValidation(0), TASK_DONE);
  assert.equal(subject.stopped(), STOP_RERUNS);
  assert.equal(two.lookup(6), 0);
  assert.equal(two.next(), TASK_DONE);
  assert.equal(two.commit(), -1);
});

test("poison ends every task, and waiting for an estimate", () => {
  const { one, two, subject } = conflict({ spinLimit: 1_000_000 });
  subject.poison();
  assert.equal(one.lookup(6), 0);
  assert.equal(one.giveUp(), TASK_DONE);
  assert.equal(two.next(), TASK_DONE);
  assert.equal(two.commit(), -1);
  assert.equal(
    subject.begin(settings(1, 1)).workers[0]?.core.next(),
    execute(0),
    "and the next window works",
  );
});

/** Two items and two workers: worker 1 has read line 5 for item 1 before worker 0 has left 7 there. */
function stale() {
  const subject = new CoreSubject().begin(settings(2, 2));
  const { words } = subject.memory;
  const [one, two] = subject.workers.map((worker) => worker.core);
  assert.ok(one && two);
  for (const worker of subject.workers) worker.enter();
  assert.deepEqual([one.next(), two.next()], [execute(0), execute(1)]);
  assert.deepEqual([one.final(), two.final()], [1, 0]);
  const look = (core: typeof one): number => {
    const entry = core.lookup(5);
    if (words[(entry + ENTRY_VERSION) / 4] === 0) fill(words, entry + ENTRY_BYTES, 5, 0);
    return entry;
  };
  look(two);
  fill(words, one.version(look(one)), 5, 7);
  const counted = (): [expired: number, renewed: number] => {
    const { expired, renewed } = subject.memory.totals();
    return [expired, renewed];
  };
  return { subject, one, two, look, counted };
}

test("an incarnation that expires runs again at once if it has read what changed", () => {
  const { subject, one, two, look, counted } = stale();
  assert.equal(two.recheck(), 1, "nothing has changed yet");
  assert.equal(one.finish(1, 0, 1), validate(0));
  assert.equal(two.recheck(), 0);
  assert.equal(two.expire(0, 1), execute(1), "it is not held, but aborted");
  assert.deepEqual(counted(), [1, 0]);
  assert.deepEqual(contended(subject.memory.words), [[5, 1]]);
  look(two);
  assert.equal(two.recheck(), 1);
  assert.equal(two.expire(1, 0), execute(1));
  assert.deepEqual(counted(), [2, 1]);
});

test("an item that is held runs when all lower items are committed, and reads what is final", () => {
  const { one, two, look } = stale();
  assert.equal(two.expire(two.recheck(), 1), TASK_IDLE);
  assert.equal(one.finish(1, 0, 1), validate(0));
  assert.equal(two.next(), TASK_IDLE);
  assert.equal(one.finishValidation(one.validate()), TASK_IDLE);
  assert.equal(one.commit(), 0);
  assert.equal(two.next(), TASK_IDLE, "what is committed is not in base yet");
  assert.equal(one.commit(), -1);
  assert.equal(two.next(), execute(1));
  assert.equal(two.final(), 1);
  look(two);
  assert.equal(two.finish(1, 0, 1), validate(1));
  assert.equal(two.finishValidation(two.validate()), TASK_IDLE);
  assert.deepEqual([two.commit(), two.commit()], [1, -1]);
  assert.equal(one.next(), TASK_DONE);
});

test("an item that has nothing to wait for is not held", () => {
  const { one } = stale();
  assert.equal(one.expire(one.recheck(), 1), execute(0));
  assert.equal(one.final(), 1);
});

test("an item that reads an estimate of a held item waits for it", () => {
  const subject = new CoreSubject().begin(settings(3, 2));
  const { words } = subject.memory;
  const [one, two] = subject.workers.map((worker) => worker.core);
  assert.ok(one && two);
  for (const worker of subject.workers) worker.enter();
  assert.deepEqual([one.next(), two.next()], [execute(0), execute(1)]);
  const entry = two.lookup(5);
  fill(words, entry + ENTRY_BYTES, 5, 0);
  fill(words, two.version(entry), 5, 7);
  assert.equal(two.finish(1, 0, 1), execute(2));
  assert.equal(two.giveUp(), execute(2));
  assert.equal(one.finish(1, 0, 1), validate(0));
  assert.equal(one.finishValidation(one.validate()), validate(1));
  one.validate();
  assert.equal(one.finishValidation(0), execute(1));
  assert.equal(one.expire(one.recheck(), 1), TASK_IDLE);
  assert.equal(two.lookup(5), 0);
  assert.equal(two.giveUp(), TASK_IDLE);
  assert.deepEqual([one.commit(), one.commit()], [0, -1]);
  assert.equal(one.next(), execute(1));
  assert.equal(one.finish(1, 0, 1), validate(1));
  assert.equal(two.next(), execute(2), "who waited is woken");
});

test("a full arena stops the window, and what is committed stays", () => {
  const subject = new CoreSubject().begin(settings(2, 1));
  const { core } = subject.workers[0]!;
  subject.workers[0]?.enter();
  assert.equal(core.next(), execute(0));
  assert.equal(core.finish(1, 0, 1), validate(0));
  assert.equal(core.finishValidation(core.validate()), execute(1));
  assert.deepEqual([core.commit(), core.commit()], [0, -1]);
  let line = 0;
  while (core.lookup(line) !== 0) line++;
  assert.ok(line > 10_000);
  assert.equal(core.giveUp(), TASK_DONE);
  assert.equal(subject.stopped(), STOP_ARENA);
  assert.equal(subject.committed(), 1);
});

/** A chain, taken by workers in turn. */
function chain(items: number, hints: Settings["hints"]): { executions: number; aborts: number } {
  const programs: Program[] = Array.from({ length: items }, () => increment(0));
  const scenario: Scenario = { programs, settings: settings(items, 4, { hints }) };
  const subject = new CoreSubject().begin(scenario.settings);
  let turn = 0;
  runWindow(subject, subject.workers, scenario, (workers) => turn++ % workers);
  return subject.memory.totals();
}

test("exact hints spare all aborts, and wrong ones change no result", () => {
  const items = 60;
  const exact = Array.from({ length: items - 1 }, (_, i) => [i + 1, i] as const);
  const { executions, aborts } = chain(items, exact);
  assert.deepEqual({ executions, aborts }, { executions: items, aborts: 0 });
  assert.ok(chain(items, []).aborts > 0);
  const backwards = exact.map(([item, lower]) => [lower, item] as const);
  const idle = exact.map(([item]) => [item, item] as const);
  chain(items, [...backwards, ...idle, [9, 0], [9, 0], [1000, 0], [5, -1]]);
  const all = exact.flatMap(([item]) => exact.map(([, lower]) => [item, lower] as const));
  chain(items, all);
});

test("items that only add have no conflicts", () => {
  const items = 100;
  const add: Program = function* () {
    yield { line: 1 << 16, add: 3 };
    return 1;
  };
  const scenario: Scenario = { programs: Array(items).fill(add), settings: settings(items, 4) };
  const subject = new CoreSubject().begin(scenario.settings);
  let turn = 0;
  runWindow(subject, subject.workers, scenario, (workers) => turn++ % workers);
  const { executions, validations, aborts } = subject.memory.totals();
  assert.deepEqual([executions, validations, aborts], [items, items, 0]);
  assert.equal(scenario.settings.base.get(1 << 16), 3 * items);
});

test("accumulate adds and subtracts integers of 8, 16 and 32 bytes within their bounds", (t) => {
  const random = new Random(baseSeed(t));
  const subject = new CoreSubject();
  const bytes = Buffer.from(subject.memory.memory.buffer);
  const read = (at: number, width: number): bigint =>
    BigInt(
      `0x${Buffer.from(bytes.subarray(at, at + width))
        .reverse()
        .toString("hex")}`,
    );
  const write = (at: number, width: number, value: bigint): void => {
    Buffer.from(value.toString(16).padStart(2 * width, "0"), "hex")
      .reverse()
      .copy(bytes, at);
  };
  const some = (width: number): bigint => {
    let value = 0n;
    for (let i = 0; i < width / 4; i++)
      value = (value << 32n) | BigInt(random.pick([0, 1, 2 ** 32 - 1, random.next()]));
    return value >> BigInt(random.pick([0, 0, 1, 32, 8 * width - 8]));
  };
  let told = 0;
  for (let round = 0; round < 2000; round++) {
    const width = random.pick([8, 16, 32]);
    const offset = width * random.below(LINE_BYTES / width);
    subject.begin(settings(1, 1));
    const { core } = subject.workers[0]!;
    subject.workers[0]?.enter();
    assert.equal(core.next(), execute(0));
    // The line is 0 in base. First to something, by an accumulate without bounds; then what is tested.
    const at = WORKERS + WORKER_AMOUNTS;
    assert.ok(at + 96 <= WORKERS + WORKER_SIZE);
    let value = 0n;
    for (let step = 0; step < 3; step++) {
      const [delta, min] = [some(width), step === 0 ? 0n : some(width)];
      const max = step === 0 ? (1n << BigInt(8 * width)) - 1n : min + some(width);
      const subtracts = step > 0 && random.chance(50);
      const clipped = max >> BigInt(8 * width) === 0n ? max : (1n << BigInt(8 * width)) - 1n;
      for (const [i, amount] of [delta, min, clipped].entries()) write(at + 32 * i, width, amount);
      const result = subtracts ? value - delta : value + delta;
      const fits = result >= min && result <= clipped;
      const answer = core.accumulate(3, offset, width, subtracts ? 1 : 0, at, at + 32, at + 64);
      assert.equal(answer, fits ? 1 : 0, `round ${round}`);
      if (fits) value = result;
      if (fits && step > 0) told++;
    }
    if (random.chance(50)) {
      const other = width === 8 ? 16 : 8;
      const overlapping = core.accumulate(3, offset - (offset % other), other, 0, at, at + 32, at + 64);
      assert.equal(overlapping, ACCUMULATE_PLAIN);
      const entry = core.lookup(3);
      const shown = subject.memory.word(entry + ENTRY_FLAGS);
      assert.equal(read(shown + offset, width), value);
      assert.equal(read(entry + ENTRY_BYTES, LINE_BYTES), 0n, "what was read");
      bytes.copyWithin(core.version(entry), shown, shown + LINE_BYTES);
    }
    assert.equal(core.finish(1, 0, 1), validate(0));
    assert.equal(core.finishValidation(core.validate()), TASK_IDLE);
    assert.equal(core.commit(), 0);
    const written = subject.memory.word(subject.log(0)[0]! + ENTRY_WRITTEN);
    const line = read(written + VERSION_BYTES, LINE_BYTES);
    assert.equal(
      line,
      value << BigInt(8 * offset),
      `round ${round}: the line holds the sum and nothing else`,
    );
  }
  assert.ok(told > 200);
});

test("integers of a line that share bytes are told from those that do not, whatever there is already", () => {
  const subject = new CoreSubject();
  const bytes = Buffer.from(subject.memory.memory.buffer);
  const at = WORKERS + WORKER_AMOUNTS;
  const integers = [8, 16, 32].flatMap((width) =>
    Array.from({ length: LINE_BYTES / width }, (_, i) => ({ width, offset: i * width })),
  );
  for (const first of integers) {
    for (const second of integers) {
      subject.begin(settings(1, 1));
      subject.workers[0]?.enter();
      const { core } = subject.workers[0]!;
      assert.equal(core.next(), execute(0));
      const add = ({ offset, width }: { offset: number; width: number }): number => {
        bytes.fill(0, at, at + 64).fill(255, at + 64, at + 96);
        return core.accumulate(3, offset, width, 0, at, at + 32, at + 64);
      };
      const far = { width: 8, offset: first.offset < 32 ? 56 : 0 };
      assert.deepEqual([add(first), add(far)], [1, 1]);
      const shares = [first, far].some(
        (one) =>
          (one.offset !== second.offset || one.width !== second.width) &&
          one.offset < second.offset + second.width &&
          second.offset < one.offset + one.width,
      );
      assert.equal(add(second), shares ? ACCUMULATE_PLAIN : 1, JSON.stringify([first, second]));
      core.giveUp();
    }
  }
});
