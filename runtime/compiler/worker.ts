/** The thread on which asc runs: a request at a time, each answered with what was made, or with an error. */

import { parentPort } from "node:worker_threads";
import { type Facts, StillpointError } from "../errors.ts";
import { type Compiled, type Read, runAsc } from "./asc.ts";
import type { Request } from "./sources.ts";

/** What the thread answers. */
export type Answer =
  | { readonly made: Compiled & { readonly reads: Read[] } }
  | { readonly error: { readonly code: string; readonly message: string; readonly facts: Facts } };

parentPort?.on("message", async (request: Request) => {
  let answer: Answer;
  try {
    answer = { made: await runAsc(request) };
  } catch (thrown) {
    const { message, stack } = thrown as Error;
    const error =
      thrown instanceof StillpointError
        ? { code: thrown.code, message, facts: thrown.facts }
        : {
            code: "E_GUEST_COMPILE",
            message: `${request.name} does not compile: the compiler failed with ${message}`,
            facts: { entry: request.name, diagnostics: stack ?? message },
          };
    answer = { error };
  }
  parentPort?.postMessage(answer);
});
