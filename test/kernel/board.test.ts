/** The job board, seen by several threads in turn: who may take which job. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Board, createBoard, MAIN_THREAD } from "../../runtime/worker/board.ts";
import {
  CLAIMED,
  DONE,
  FAILED,
  FREE,
  mayFollow,
  ORPHAN,
  POSTED,
  WRITING,
} from "../../runtime/worker/board-layout.ts";
import { JOB_ACTIVATE, JOB_ASSIST, JOB_RESUME, NO_ENTRY } from "../../runtime/worker/job.ts";
import { NO_RECORD } from "../../runtime/worker/timeline.ts";

const RESULT = 7;

function boards(): { main: Board; a: Board; b: Board } {
  const memory = createBoard();
  return { main: new Board(memory, MAIN_THREAD), a: new Board(memory, 1), b: new Board(memory, 2) };
}

const JOB = {
  ...{ kind: JOB_ACTIVATE, start: 1, path: [], metadata: 0, gas: 0 },
  ...{ parent: NO_ENTRY, run: 0, rules: 0, upgrade: 0, origin: NO_RECORD },
};

const block = (board: Board, parent = NO_ENTRY): number => board.post({ ...JOB, kind: JOB_RESUME, parent });

/** Runs a block on that thread, which is at home then. */
function runOn(main: Board, thread: Board): void {
  const entry = block(main);
  assert.equal(thread.claimAny(), entry);
  thread.finish(entry, RESULT);
  assert.deepEqual(main.take(entry, 1, false), { state: "done", result: RESULT });
}

test("the next block is for the thread that ran the last one", () => {
  const { main, a, b } = boards();
  runOn(main, b);
  const next = block(main);
  assert.equal(a.claimAny(), NO_ENTRY);
  assert.equal(b.claimAny(), next);
});

test("a thread that begins another job gives up its affinity to blocks, and signals it", () => {
  const { main, a, b } = boards();
  runOn(main, b);
  const [next, another] = [block(main), block(main)];
  assert.equal(a.claimAny(), NO_ENTRY);
  const signal = a.signals.read();
  assert.equal(b.claimAny(), next);
  assert.notEqual(a.signals.read(), signal, "who sleeps is woken");
  assert.equal(a.claimAny(), another);
});

test("children of a block are for all, wherever somebody is at home", () => {
  const { main, a, b } = boards();
  runOn(main, b);
  const entry = block(main);
  assert.equal(b.claimAny(), entry);
  const child = block(b, entry);
  assert.equal(a.claimAny(), child);
});

test("a thread that died is not at home", () => {
  const { main, a, b } = boards();
  runOn(main, b);
  const next = block(main);
  assert.equal(a.claimAny(), NO_ENTRY);
  const signal = a.signals.read();
  main.recover(2);
  assert.notEqual(a.signals.read(), signal, "who sleeps is woken");
  assert.equal(a.claimAny(), next);
});

test("withdrawing a job returns the thread that is still running it", () => {
  const { main, a, b } = boards();
  const [posted, claimed] = [block(main), block(main)];
  assert.equal(main.withdraw(posted), 0);
  assert.equal(a.claim(claimed), true);
  assert.equal(main.withdraw(claimed), 1);
  a.finish(claimed, RESULT);
  assert.equal(main.working().size, 0);
  const [done] = [block(main)];
  assert.equal(b.claim(done), true);
  b.finish(done, RESULT);
  assert.equal(main.withdraw(done), 0);
});

test("after a death the threads are named that continue at jobs of the dead", () => {
  const { main, a, b } = boards();
  const entry = block(main);
  assert.equal(a.claim(entry), true);
  const [taken, waiting] = [block(a, entry), block(a, entry)];
  assert.equal(b.claim(taken), true);
  assert.deepEqual(main.recover(1), [2]);
  assert.deepEqual(main.recover(1), []);
  assert.equal(b.claim(waiting), false, "what nobody has begun is void");
  assert.equal(b.claim(entry), true, "what the dead had begun is to be done again");
  assert.equal(main.withdraw(entry), 2);
});

/** A job of the child at `path`, as its parent posts it. */
const child = (board: Board, path: readonly number[]): number => board.post({ ...JOB, path });

const pause = (): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);

test("a child that its parent's thread ran last is reserved for that thread for a while", () => {
  const { a, b } = boards();
  a.runs([1]);
  const entry = child(a, [1]);
  assert.equal(b.claimAny(), NO_ENTRY);
  assert.ok(b.patience.milliseconds < 5, "looks again soon");
  assert.equal(a.take(entry, 1).state, "claimed");
  a.free(entry);
  const again = child(a, [1]);
  assert.equal(again, entry);
  // It is another job, which has not waited yet.
  pause();
  assert.equal(b.claimAny(), NO_ENTRY);
  pause();
  assert.equal(b.claimAny(), again, "the parent is busy with something else");
  assert.equal(b.patience.milliseconds, Number.POSITIVE_INFINITY);
});

test("of several children of one parent the first is left to it, in whatever entry it lies", () => {
  const { a, b } = boards();
  for (const number of [1, 2, 3]) a.runs([number]);
  const before = [1, 2, 3].map((number) => child(a, [number]));
  for (const entry of before) {
    assert.equal(a.take(entry, 1).state, "claimed");
    a.free(entry);
  }
  // The last that was freed is used first.
  const [first, second] = [child(a, [1]), child(a, [2])] as [number, number];
  assert.ok(first > second);
  assert.equal(b.claimAny(), second);
  assert.equal(b.claimAny(), NO_ENTRY);
  assert.equal(a.take(first, 1).state, "claimed");
});

test("help with a batch comes last, and who leads one runs nothing of what it has posted before", () => {
  const { a, b } = boards();
  a.runs([1]);
  const help = (): number => a.post({ ...JOB, kind: JOB_ASSIST });
  const [early, begun, late] = [help(), child(a, [1]), help()];
  assert.equal(b.claimAny(), early, "the child is left to its parent");
  b.finish(early, RESULT);
  a.unreserve();
  assert.equal(b.claimAny(), begun);
  assert.equal(b.claimAny(), late);
});

test("a child that another thread ran last may be taken by any, and so may all but one of several", () => {
  const { a, b } = boards();
  b.runs([1]);
  assert.equal(b.claimAny(), NO_ENTRY);
  const elsewhere = child(a, [1]);
  assert.equal(b.claimAny(), elsewhere);
  for (const number of [2, 3, 4]) a.runs([number]);
  const [first, ...others] = [2, 3, 4].map((number) => child(a, [number])) as [number, number, number];
  assert.deepEqual([b.claimAny(), b.claimAny()], others);
  assert.equal(b.claimAny(), NO_ENTRY);
  assert.equal(a.claimAny(first), NO_ENTRY);
  assert.equal(a.take(first, 1).state, "claimed");
});

test("the states of an entry follow each other as the board says, and no others do", () => {
  const states = { FREE, WRITING, POSTED, CLAIMED, DONE, FAILED, ORPHAN };
  const arrows = Object.entries(states).map(([name, state]) => {
    const next = Object.entries(states).filter(([, other]) => mayFollow(state, other));
    return `${name} ${next.map(([other]) => other).join(" ")}`;
  });
  assert.deepEqual(arrows, [
    "FREE FREE WRITING",
    "WRITING FREE POSTED",
    "POSTED FREE WRITING CLAIMED",
    "CLAIMED FREE POSTED DONE FAILED ORPHAN",
    "DONE FREE WRITING",
    "FAILED FREE WRITING",
    "ORPHAN FREE",
  ]);
});
