/** What operators see of a runtime: the page for Prometheus, spans, and the dashboard that names them. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { Exposition, exportSpans, metricsText } from "../../runtime/observe/index.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { withDirectory } from "../store/directory.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;

/** Samples by name and labels; fails where a line is none. */
function samplesOf(page: string): Map<string, number> {
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of page.trimEnd().split("\n")) {
    const [, name = "", type = ""] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
    if (name !== "") {
      assert.ok(!types.has(name), `${name} has two families`);
      types.set(name, type);
    }
    if (line.startsWith("#")) continue;
    const [, sample, value] = /^([a-z_]+(?:\{[^}]*\})?) (\S+)$/.exec(line) ?? [];
    assert.ok(sample !== undefined && Number.isFinite(Number(value)), line);
    assert.ok(!samples.has(sample), `${sample} twice`);
    samples.set(sample, Number(value));
    const family = (/^[a-z_]+/.exec(sample) as RegExpExecArray)[0].replace(/_(bucket|sum|count)$/, "");
    assert.ok(types.has(family), `${sample} has no family`);
    if (types.get(family) === "counter") assert.match(family, /_total$/);
  }
  return samples;
}

test("the page for Prometheus: counters, and times of blocks by their parts", async () => {
  await withDirectory(async (store) => {
    await using runtime = await open([], { ...OPTIONS, store });
    const before = samplesOf(metricsText(runtime));
    for (let i = 1; i <= 4; i++) await runtime.produce(metadata(i, 0));
    const candidate = await runtime.execute(metadata(5, 0));
    const waiting = [runtime.produce(metadata(5, 1)), runtime.produce(metadata(6, 1))];
    assert.equal(samplesOf(metricsText(runtime)).get("stillpoint_waiting"), 2);
    await Promise.all(waiting);
    const page = metricsText(runtime, { labels: { chain: 'a "b"\\' } });
    const label = 'chain="a \\"b\\"\\\\"';
    const samples = samplesOf(page);
    const grown = (name: string): number =>
      (samples.get(name.replace("{", `{${label},`)) ?? Number.NaN) - (before.get(name) ?? Number.NaN);
    assert.equal(samples.get(`stillpoint_height{${label}}`), 6);
    assert.equal(samples.get(`stillpoint_candidates{${label}}`), 1);
    assert.equal(samples.get(`stillpoint_blocks_total{${label}}`), 1 + 7);
    assert.equal(grown('stillpoint_block_seconds_count{part="wait"}'), 6);
    assert.equal(grown('stillpoint_block_seconds_count{part="run"}'), 7);
    assert.equal(grown('stillpoint_block_seconds_count{part="write"}'), 6);
    for (const part of ["wait", "run", "write"]) {
      const buckets = [...samples].filter(
        ([name]) => name.includes("_bucket") && name.includes(`part="${part}"`),
      );
      const counts = buckets.map(([, count]) => count);
      assert.deepEqual(
        counts,
        counts.toSorted((a, b) => a - b),
        "each bound counts those below it",
      );
      assert.ok((samples.get(`stillpoint_block_seconds_sum{${label},part="${part}"}`) ?? 0) > 0);
    }
    assert.throws(() => metricsText(runtime, { labels: { "a-b": "" } }), { code: "BAD_ARGUMENT" });
    await runtime.release(candidate);
  });
});

test("how far a store is: what is acknowledged, what is in a checkpoint, and the log between", async () => {
  await withDirectory(async (path) => {
    const store = { path, checkpointMs: 3_600_000, logBytes: 1 << 20 };
    await using runtime = await open([], { ...OPTIONS, store });
    const found = (): (number | undefined)[] => {
      const samples = samplesOf(metricsText(runtime));
      return ["acknowledged_height", "checkpointed_height", "log_used_bytes", "log_limit_bytes"].map((name) =>
        samples.get(`stillpoint_store_${name}`),
      );
    };
    assert.deepEqual(found(), [0, 0, 0, 1 << 20]);
    for (let i = 1; i <= 3; i++) await runtime.produce(metadata(i, 0));
    assert.deepEqual(found().slice(0, 2), [3, 0]);
    const used = found()[2] ?? 0;
    assert.ok(used > 0 && used <= 1 << 20, `${used}`);
    await runtime.checkpoint();
    assert.deepEqual(found(), [3, 3, 0, 1 << 20]);
    await using fork = await runtime.fork();
    assert.equal(fork.metrics().store, null);
  });
});

test("a page of one's own: samples of a family stand together", () => {
  const page = new Exposition("shop", { at: "here" });
  page.counter("orders_total", "Orders taken.", 1, { kind: "book" });
  page.gauge("open", "Whether it is open.", 1);
  page.counter("orders_total", "Orders taken.", 2, { kind: "two\nlines" });
  assert.equal(
    page.text(),
    [
      "# HELP shop_orders_total Orders taken.",
      "# TYPE shop_orders_total counter",
      'shop_orders_total{at="here",kind="book"} 1',
      'shop_orders_total{at="here",kind="two\\nlines"} 2',
      "# HELP shop_open Whether it is open.",
      "# TYPE shop_open gauge",
      'shop_open{at="here"} 1',
      "",
    ].join("\n"),
  );
});

test("spans: a block with its write below it, and views", async () => {
  await withDirectory(async (store) => {
    const exporter = new InMemorySpanExporter();
    const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    await using runtime = await open([], { ...OPTIONS, store });
    const spans = exportSpans(runtime, { tracer: provider.getTracer("test") });
    const block = await runtime.produce(metadata(1, 0));
    await runtime.produce(metadata(2, 0));
    await spans.stop();
    await runtime.produce(metadata(3, 0));
    const made = exporter.getFinishedSpans();
    assert.deepEqual(
      made.map(({ name, attributes }) => `${name} ${attributes["stillpoint.height"]}`),
      ["stillpoint.block 1", "stillpoint.write 1", "stillpoint.block 2", "stillpoint.write 2"],
    );
    const [ran, written] = made;
    assert.equal(ran?.attributes["stillpoint.block"], block.id);
    assert.equal(written?.parentSpanContext?.spanId, ran?.spanContext().spanId);
    for (const { duration } of made) assert.ok(duration[0] === 0 && duration[1] > 0);
    assert.throws(() => exportSpans(runtime, { tracer: {} as never }), { code: "BAD_ARGUMENT" });
  });
});

test("each panel of the dashboard shows metrics that there are", async () => {
  const page = await withDirectory(async (store) => {
    await using runtime = await open([], { ...OPTIONS, store });
    return metricsText(runtime);
  });
  const names = new Set([...samplesOf(page).keys()].map((name) => name.replace(/\{.*/, "")));
  const file = new URL("../../docs/grafana.json", import.meta.url);
  const { panels } = JSON.parse(readFileSync(file, "utf8"));
  const shown = new Set<string>();
  for (const { title, targets } of panels) {
    assert.ok(targets.length > 0, title);
    for (const { expr } of targets) {
      for (const [name] of expr.matchAll(/\bstillpoint_[a-z_]+/g)) {
        assert.ok(names.has(name), `${title}: there is no ${name}`);
        shown.add(name);
      }
    }
  }
  const missing = [...names].filter((name) => !shown.has(name) && !/_(sum|count)$/.test(name));
  assert.deepEqual(missing, [], "every metric is shown");
});
