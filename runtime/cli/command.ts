/**
 * What a command is, as data: help, suggestions, completions, docs/cli.md and the check of its input follow
 * from it. The code of a command is elsewhere, so that it is loaded only when the command is called.
 *
 * Every command takes --json and --help besides its own options.
 */

/** Where completions look for values. */
export type Completion = "directory" | "file" | "none";

/** A positional argument. */
export interface ArgumentSpec {
  readonly about: string;
  /** Default "none". */
  readonly completes?: Completion;
  /** Words that are offered. */
  readonly choices?: readonly string[];
  readonly optional?: true;
  /** Any number of them; only the last argument. */
  readonly repeated?: true;
}

/**
 * An option. Without `value` it is a flag. With `choices` its value is one of those words, with `range` a
 * whole number within it. With `repeated` it may be given any number of times.
 */
export interface OptionSpec {
  readonly about: string;
  /** What its value is called: "DIR". */
  readonly value?: string;
  readonly short?: string;
  readonly choices?: readonly string[];
  readonly range?: readonly [minimum: number, maximum: number];
  readonly repeated?: true;
  /** Default "none". */
  readonly completes?: Completion;
}

export interface CommandSpec {
  /** One line without a full stop. */
  readonly summary: string;
  /** Of a group: its second word is typed as an option, "inspect DIR --web". */
  readonly isFlag?: true;
  readonly arguments?: Readonly<Record<string, ArgumentSpec>>;
  readonly options?: Readonly<Record<string, OptionSpec>>;
  /** Paragraphs for help and docs. */
  readonly about?: string;
  /** When the exit code is 1, where that is an answer: "if a test fails". */
  readonly no?: string;
  /** A line that can be typed, without "stillpoint" before it. */
  readonly example: string;
}

type OptionValue<O> = O extends { readonly repeated: true }
  ? readonly string[]
  : O extends { readonly range: readonly [number, number] }
    ? number | undefined
    : O extends { readonly choices: readonly (infer Choice)[] }
      ? Choice | undefined
      : O extends { readonly value: string }
        ? string | undefined
        : boolean;

type ArgumentValue<A> = A extends { readonly repeated: true }
  ? readonly string[]
  : A extends { readonly optional: true }
    ? string | undefined
    : string;

type Each<T, Kind extends "arguments" | "options"> = T extends { readonly [K in Kind]: infer Of }
  ? Of
  : object;

/** What a command is called with, checked. */
export interface Input<Spec> {
  readonly args: {
    readonly [Name in keyof Each<Spec, "arguments">]: ArgumentValue<Each<Spec, "arguments">[Name]>;
  };
  readonly options: {
    readonly [Name in keyof Each<Spec, "options">]: OptionValue<Each<Spec, "options">[Name]>;
  };
  readonly json: boolean;
}

/** The code of a command; resolves to the exit code. */
export type Handler<Spec> = (input: Input<Spec>) => Promise<number>;

/** The second word of a command of a group, as it is typed. */
export function secondWord(name: string, { isFlag }: CommandSpec): string {
  const word = name.slice(name.indexOf(" ") + 1);
  return isFlag ? `--${word}` : word;
}

/** The line as it is typed. In a group the directory, if there is one, stands between the two words. */
export function usage(name: string, spec: CommandSpec): string {
  const words = Object.entries(spec.arguments ?? {}).map(([word, { optional, repeated }]) => {
    const text = repeated ? `${word}…` : word;
    return optional ? `[${text}]` : text;
  });
  const [group = ""] = name.split(" ");
  if (group === name) return ["stillpoint", group, ...words].join(" ");
  const second = secondWord(name, spec);
  const [first = "", ...rest] = words;
  const between = first === "DIR" ? [first, second] : [second, first];
  return ["stillpoint", group, ...between, ...rest].join(" ");
}
