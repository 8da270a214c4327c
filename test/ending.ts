/**
 * Loaded with --import by `npm test`: a file whose process continues after its tests have ended fails, and
 * says what keeps it alive, instead of holding the whole run until someone ends it.
 */

import { isMainThread } from "node:worker_threads";

/** For what a process still does when its tests have ended: threads end, files are removed. */
const GRACE_MS = 60_000;

// Threads of a process load what it was told to import, too.
if (isMainThread && process.env.NODE_TEST_CONTEXT !== undefined) {
  const { after } = await import("node:test");
  after(() => {
    const timer = setTimeout(() => {
      const alive = process.getActiveResourcesInfo().join(", ");
      process.stderr.write(`the tests have ended, but the process continues; it still has: ${alive}\n`);
      process.exit(1);
    }, GRACE_MS);
    timer.unref();
  });
}
