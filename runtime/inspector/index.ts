/** The inspector: a page that shows a chain, its blocks and their states, and changes nothing. */

export { recordOfStore, traceOfStore } from "./executions.ts";
export { Recorded } from "./recorded.ts";
export { inspectorRoutes } from "./routes.ts";
export { Source, type SourceOptions } from "./source.ts";
