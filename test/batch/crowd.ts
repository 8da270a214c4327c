/** Rounds of a window on several threads, each compared with the sequential loop. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { coreMemory, coreModule } from "../../runtime/batch/core.ts";
import { COMMITTED, LINE_BYTES, STOP } from "../../runtime/batch/layout.ts";
import { CoreMemory, type Totals } from "./engines.ts";
import { type Description, programsOf } from "./scenario.ts";
import { LEFT, meet, Participant, ROUND } from "./thread.ts";
import { LIMIT, Reference } from "./work.ts";

/** Runs `rounds` windows on `threads` threads (this is one of them); the counters of all rounds. */
export async function runCrowd(description: Description, threads: number, rounds: number): Promise<Totals> {
  const module = await coreModule();
  const memory = coreMemory(threads, 8 << 20);
  const base = new SharedArrayBuffer(description.lines * LINE_BYTES);
  const control = new SharedArrayBuffer(12);
  const words = new Int32Array(control);
  const share = { module, memory, base, control, threads, description };
  const others = Array.from({ length: threads - 1 }, (_, i) => {
    const workerData = { ...share, worker: i + 1 };
    return new Worker(new URL("./thread.ts", import.meta.url), { workerData });
  });
  const programs = programsOf(description);
  const limits = programs.map(() => LIMIT);
  const own = new Participant({ ...share, worker: 0 });
  const core = new CoreMemory(memory);
  const lines = new Uint32Array(base);
  const gasTotal = LIMIT * (programs.length + 1);
  const zero = new Map<number, number>();
  for (let line = 0; line < description.lines; line++) zero.set(line, 0);
  const expected = new Reference(programs, zero, limits, gasTotal, gasTotal).prefixes.at(-1)!;
  try {
    for (let round = 1; round <= rounds; round++) {
      lines.fill(0);
      core.prepare({ limits, gasTotal, gasLeft: gasTotal, spinLimit: description.spins, rerunLimit: 0 });
      own.core.reset(programs.length, threads);
      Atomics.store(words, LEFT, 0);
      Atomics.store(words, ROUND, round);
      Atomics.notify(words, ROUND);
      meet(words, threads, round);
      own.run(programs);
      for (let left = 0; left < threads - 1; left = Atomics.load(words, LEFT)) {
        Atomics.wait(words, LEFT, left);
      }
      assert.equal(core.word(STOP), 0, `round ${round}`);
      assert.equal(core.word(COMMITTED), programs.length, `round ${round}`);
      for (const [line, value] of expected) {
        for (let i = 0; i < LINE_BYTES / 4; i++) {
          const word = i > 0 && description.kind === "fees" ? 0 : value >>> 0;
          assert.equal(lines[(line * LINE_BYTES) / 4 + i], word, `round ${round}, line ${line}`);
        }
      }
    }
  } finally {
    Atomics.store(words, ROUND, -1);
    Atomics.notify(words, ROUND);
    await Promise.all(others.map((other) => once(other, "exit")));
  }
  return core.totals();
}
