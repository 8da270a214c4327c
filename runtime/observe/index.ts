/** `stillpoint/observe`: what a runtime does, for operators. docs/observing.md. */

import "../check-node.ts";

export { Exposition, type Labels, METRICS_TYPE } from "./exposition.ts";
export { type MetricsTextOptions, metricsText } from "./metrics-text.ts";
export { exportSpans, type SpanExport, type SpanOptions } from "./spans.ts";
