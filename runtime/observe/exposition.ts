/**
 * Metrics as the text that Prometheus reads, version 0.0.4 of its format: families of samples, each with its
 * type and a sentence.
 */

import type { Histogram } from "../index.ts";

/** The content type of a page of metrics. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Labels of a sample, by name. */
export type Labels = Readonly<Record<string, string>>;

/** What says of a family what it is. */
interface Family {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: string[];
}

/**
 * Collects metrics, and writes them.
 *
 * @example
 * ```ts
 * const page = new Exposition("shop");
 * page.counter("orders_total", "Orders taken.", 3, { kind: "book" });
 * console.log(page.text().split("\n")[2]); // shop_orders_total{kind="book"} 3
 * ```
 */
export class Exposition {
  readonly #prefix: string;
  readonly #labels: Labels;
  readonly #families = new Map<string, Family>();

  /** Names begin with `prefix` and "_"; all samples have `labels`. */
  constructor(prefix: string, labels: Labels = {}) {
    this.#prefix = prefix;
    this.#labels = labels;
  }

  /** What only grows; the name ends in "_total". */
  counter(name: string, help: string, value: number, labels: Labels = {}): void {
    this.#add("counter", name, help, "", value, labels);
  }

  /** What comes and goes. */
  gauge(name: string, help: string, value: number, labels: Labels = {}): void {
    this.#add("gauge", name, help, "", value, labels);
  }

  /** Times in seconds; the name ends in "_seconds". */
  histogram(
    name: string,
    help: string,
    { bounds, counts, count, sumSeconds }: Histogram,
    labels: Labels = {},
  ) {
    const add = (suffix: string, value: number, more: Labels = {}): void =>
      this.#add("histogram", name, help, suffix, value, { ...labels, ...more });
    for (const [i, bound] of bounds.entries()) add("_bucket", counts[i] as number, { le: String(bound) });
    add("_bucket", count, { le: "+Inf" });
    add("_sum", sumSeconds);
    add("_count", count);
  }

  /** The page; its type is METRICS_TYPE. */
  text(): string {
    const lines = [...this.#families].flatMap(([name, { type, help, samples }]) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...samples,
    ]);
    return `${lines.join("\n")}\n`;
  }

  #add(type: Family["type"], short: string, help: string, suffix: string, value: number, own: Labels): void {
    const name = `${this.#prefix}_${short}`;
    const family = this.#families.get(name) ?? { type, help, samples: [] };
    this.#families.set(name, family);
    const labels = Object.entries({ ...this.#labels, ...own }).map(([key, of]) => `${key}="${escaped(of)}"`);
    const braces = labels.length === 0 ? "" : `{${labels.join()}}`;
    family.samples.push(`${name}${suffix}${braces} ${value}`);
  }
}

function escaped(value: string): string {
  return value.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n");
}
