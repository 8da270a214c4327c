/**
 * The environment of worker threads. Under `node --watch` each thread reports to its parent by messages what
 * modules it loads, and a parent here expects answers and nothing else: threads do not learn of the watching.
 */

/** That of this process, but for what watching puts there. */
export function threadEnvironment(): NodeJS.ProcessEnv {
  const { WATCH_REPORT_DEPENDENCIES: _, ...rest } = process.env;
  return rest;
}
