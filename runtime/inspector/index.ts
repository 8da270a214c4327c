/** The inspector: a page that shows a chain, its blocks and their states, and changes nothing. */

export { parentOf, traceOfStore } from "./executions.ts";
export { inspectorRoutes } from "./routes.ts";
export { Source, type SourceOptions } from "./source.ts";
