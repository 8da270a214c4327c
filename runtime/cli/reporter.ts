/** A reporter of node --test for `stillpoint test --json`: a line of JSON for each test, then the counts. */

import type { EventData } from "node:test";
import type { TestEvent } from "node:test/reporters";
import { toJson } from "./terminal.ts";

type Ended = EventData.TestPass | EventData.TestFail;

/** Called by node --test. */
export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const isSkipped = data.skip !== undefined || data.todo !== undefined;
    const outcome = isSkipped ? "skipped" : type === "test:pass" ? "passed" : "failed";
    // A suite has the outcomes of its tests.
    if (data.details.type !== "suite") counts[outcome]++;
    yield `${toJson({ ...testOf(data), outcome, ms: data.details.duration_ms, ...errorOf(data) })}\n`;
  }
  yield `${toJson(counts)}\n`;
}

function testOf({ name, file, line, nesting, details }: Ended): object {
  return {
    name,
    file,
    line,
    ...(nesting > 0 && { nesting }),
    ...(details.type === "suite" && { suite: true }),
  };
}

function errorOf({ details }: Ended): object {
  if (!("error" in details)) return {};
  const { error } = details;
  return { error: (error.cause instanceof Error ? error.cause : error).message };
}
