/** A reporter of node --test for `stillpoint test --name`: fails, and says so, if no test has such a name. */

import type { TestEvent } from "node:test/reporters";

/** Called by node --test. */
export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let found = 0;
  for await (const { type, data } of events) {
    if (type === "test:summary" && data.file !== undefined) found += data.counts.tests;
  }
  if (found > 0) return;
  yield "no test has a name that matches --name, a part of a name or a /regular expression/\n";
  process.exitCode = 1;
}
