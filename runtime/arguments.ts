/**
 * Checks of what callers give. There are two shapes of message, here and on the command line:
 *
 * - a wrong value: "NAME must be EXPECTED, got VALUE";
 * - an unknown name: "there is no KIND NAME; there are: NAMES".
 *
 * Options are named in quotes, arguments as they are, what is inside of them by its path, words of a command
 * line as they are typed. Options that exclude each other, or miss each other, have a sentence of their own
 * that begins with what to give.
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

/** The error for a name that is not among those `known`: of a function, a collection, a parameter. */
export function unknownName(kind: string, name: string, known: readonly string[]): UsageError {
  return new UsageError("BAD_ARGUMENT", unknownMessage(kind, name, known), { name });
}

/** The error for a word of a command line that is not what is expected, and perhaps what was meant. */
export function badWord(word: string, value: unknown, expected: string, hint = ""): UsageError {
  return new UsageError("BAD_OPTION", messageOf(word, value, expected) + hint, { word });
}

/** The sentence about a wrong value. */
export function messageOf(name: string, value: unknown, expected: string): string {
  return `${name} must be ${expected}, got ${described(value)}`;
}

/** The sentence about an unknown name. */
export function unknownMessage(kind: string, name: string, known: readonly string[]): string {
  return `there is no ${kind} ${name}; there are: ${known.join(", ") || "none"}`;
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
    throw new UsageError("BAD_OPTION", unknownMessage("option", `"${option}"`, known), { option });
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
