/**
 * The compiler on a thread of its own, which stays for the next compilation: a warm one takes a third of the
 * time of the first. Whatever asc does there, the host lives: it exits after a crash of its own (a sum of
 * 30,000 terms), and it can run for ever (`rec(x + 1) + rec(x + 2)` at -O3). The thread is then replaced.
 *
 * An idle thread does not keep the process alive.
 */

import { Worker } from "node:worker_threads";
import { UsageError } from "../errors.ts";
import { threadEnvironment } from "../thread-env.ts";
import type { Answer, Made, Task } from "./worker.ts";

const FILE = import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js";

/** The thread, and what takes its answer; null: none has been started, or the last one is gone. */
let worker: Worker | null = null;
/** The task that runs. */
let waiting: { answer(answer: Answer): void; fail(why: string): void } | null = null;
let queue: Promise<unknown> = Promise.resolve();

/**
 * Does a task of the compiler, after those that were asked for before.
 *
 * @throws UsageError E_GUEST_COMPILE, also if it takes longer than `timeoutMs`
 */
export function onThread<T extends Task>(task: T, timeoutMs: number): Promise<Made[T["kind"]]> {
  const result = queue.then(() => run(task, timeoutMs));
  queue = result.catch(() => undefined);
  return result;
}

async function run<T extends Task>(task: T, timeoutMs: number): Promise<Made[T["kind"]]> {
  worker ??= start();
  const thread = worker;
  thread.ref();
  let timer: NodeJS.Timeout | undefined;
  try {
    const answer = await new Promise<Answer>((resolve, reject) => {
      waiting = { answer: resolve, fail: (why) => reject(failure(task, why)) };
      timer = setTimeout(() => lose(thread, tooLong(timeoutMs)), timeoutMs);
      thread.postMessage(task);
    });
    if ("made" in answer) return answer.made as Made[T["kind"]];
    const { code, message, facts } = answer.error;
    throw new UsageError(code, message, facts);
  } finally {
    clearTimeout(timer);
    waiting = null;
    thread.unref();
  }
}

function start(): Worker {
  // The output of asc when it crashes is dropped.
  const thread = new Worker(new URL(FILE, import.meta.url), {
    env: threadEnvironment(),
    stdout: true,
    stderr: true,
  });
  thread.on("message", (answer: Answer) => waiting?.answer(answer));
  thread.on("error", (error: Error) => lose(thread, `the compiler failed: ${error.message}`));
  thread.on("exit", () => lose(thread, CRASHED));
  return thread;
}

/** Ends the thread, if it is still the current one, and fails its task. */
function lose(thread: Worker, why: string): void {
  if (worker !== thread) return;
  worker = null;
  void thread.terminate();
  waiting?.fail(why);
}

const CRASHED =
  "the compiler crashed, as it does on expressions that are nested too deep or are too long: split them";

function tooLong(timeoutMs: number): string {
  return (
    `the compiler was not done after ${timeoutMs} ms ("timeoutMs"). Its optimiser does not end on some ` +
    'recursive functions: rewrite those, or compile with "optimize: false"'
  );
}

function failure({ request: { name } }: Task, why: string): UsageError {
  return new UsageError("E_GUEST_COMPILE", `${name} does not compile: ${why}`, {
    entry: name,
    diagnostics: why,
  });
}
