/** The thread on which asc runs: a task at a time, each answered with what was made, or with an error. */

import { parentPort } from "node:worker_threads";
import { type Facts, StillpointError } from "../errors.ts";
import { type Analysis, runAnalysis } from "./analyse.ts";
import { runAsc } from "./asc.ts";
import type { Request } from "./sources.ts";

/** What the thread is asked for; `name` is what errors call the guest. */
export type Task =
  | { readonly kind: "compile"; readonly request: Request }
  | { readonly kind: "analyse"; readonly request: Analysis & { readonly name: string } };

/** What comes of each kind. */
export interface Made {
  readonly compile: Awaited<ReturnType<typeof runAsc>>;
  readonly analyse: Awaited<ReturnType<typeof runAnalysis>>;
}

/** What the thread answers. */
export type Answer =
  | { readonly made: Made[Task["kind"]] }
  | { readonly error: { readonly code: string; readonly message: string; readonly facts: Facts } };

parentPort?.on("message", async (task: Task) => {
  let answer: Answer;
  try {
    answer = { made: await (task.kind === "compile" ? runAsc(task.request) : runAnalysis(task.request)) };
  } catch (thrown) {
    const { message, stack } = thrown as Error;
    const error =
      thrown instanceof StillpointError
        ? { code: thrown.code, message, facts: thrown.facts }
        : {
            code: "E_GUEST_COMPILE",
            message: `${task.request.name} does not compile: the compiler failed with ${message}`,
            facts: { entry: task.request.name, diagnostics: stack ?? message },
          };
    answer = { error };
  }
  parentPort?.postMessage(answer);
});
