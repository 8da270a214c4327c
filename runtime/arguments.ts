/**
 * Checks of what callers give, with one shape of message: what must be what, and what came instead. Options
 * are named in quotes, arguments as they are.
 */

import { described, UsageError } from "./errors.ts";

/** The error for an argument that is not what is expected. */
export function badArgument(name: string, value: unknown, expected: string): UsageError {
  return new UsageError("BAD_ARGUMENT", messageOf(name, value, expected), { argument: name });
}

/** The error for an option that is not what is expected. */
export function badOption(name: string, value: unknown, expected: string): UsageError {
  return new UsageError("BAD_OPTION", messageOf(`option "${name}"`, value, expected), { option: name });
}

/** The sentence of all these errors. */
export function messageOf(name: string, value: unknown, expected: string): string {
  return `${name} must be ${expected}, got ${described(value)}`;
}

/** Throws unless `options`, which are those called `of`, are an object that has no other than the `known`. */
export function checkNames(options: object, known: readonly string[], of = "options"): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    const name = of === "options" ? "the options" : `option "${of}"`;
    throw new UsageError("BAD_OPTION", messageOf(name, options, "an object"), { option: of });
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const option = of === "options" ? name : `${of}.${name}`;
    const text = `unknown option "${option}". Known are: ${known.join(", ")}`;
    throw new UsageError("BAD_OPTION", text, { option });
  }
}

/** An integer option within its range, or its default. */
export function integer<T extends object>(
  options: T,
  name: keyof T & string,
  fallback: number,
  minimum: number,
  maximum: number,
): number {
  const value: unknown = options[name] ?? fallback;
  if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum) {
    throw badOption(name, value, `an integer from ${minimum} to ${maximum}`);
  }
  return value;
}

/** An option that is true or false, by default false. */
export function flag<T extends object>(options: T, name: keyof T & string): boolean {
  const value: unknown = options[name] ?? false;
  if (typeof value !== "boolean") throw badOption(name, value, "true or false");
  return value;
}
