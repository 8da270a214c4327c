/** Help: the overview, and the page of a group and of a command, all from the table. */

import { type CommandSpec, type OptionSpec, usage } from "./command.ts";
import { COMMON, membersOf } from "./parse.ts";
import { formatTable } from "./terminal.ts";

type Table = Readonly<Record<string, CommandSpec>>;

/** Exit codes, for help and docs. */
export const EXIT_CODES: readonly (readonly [code: number, meaning: string])[] = [
  [0, "done, and the answer is yes"],
  [1, "the answer is no: a difference, damage, a refusal, a failed test; or an error; nothing is lost"],
  [2, "the command line is wrong, or names something that does not exist"],
  [70, "a defect of stillpoint, with a stack: please report it"],
];

/** Where commands are listed under a heading. */
export interface Section {
  readonly title: string;
  readonly lines: readonly (readonly [left: string, right: string])[];
}

export function overview(sections: readonly Section[]): string {
  const width = Math.max(...sections.flatMap(({ lines }) => lines.map(([left]) => left.length)));
  const text = sections.map(({ title, lines }) =>
    [`${title}:`, ...lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)].join("\n"),
  );
  const codes = EXIT_CODES.map(([code, meaning]) => `  ${String(code).padEnd(3)} ${meaning}`);
  return [
    "stillpoint: programs whose memory is their database",
    ...text,
    `Exit codes:\n${codes.join("\n")}`,
    "A first project: stillpoint new hello. Options of a command: stillpoint COMMAND --help",
  ].join("\n\n");
}

/** The page of a group. */
export function groupHelp(table: Table, group: string, summary: string): string {
  const rows = membersOf(table, group).map((name) => {
    const spec = table[name] as CommandSpec;
    return [usage(name, spec), spec.summary];
  });
  return `${summary}.\n\n${indented(rows)}\n\nOptions of one: stillpoint ${group} WORD --help`;
}

/** The page of a command. */
export function commandHelp(name: string, spec: CommandSpec): string {
  const args = Object.entries(spec.arguments ?? {}).map(([word, { about }]) => [word, about]);
  const options = Object.entries({ ...spec.options, ...COMMON });
  return [
    `${spec.summary}.`,
    `  ${usage(name, spec)} [options]`,
    ...(spec.about === undefined ? [] : [spec.about]),
    indented([...args, ...options.map(([option, each]) => [optionText(option, each), optionAbout(each)])]),
    ...(spec.no === undefined ? [] : [`The exit code is 1 ${spec.no}.`]),
    `Example: stillpoint ${spec.example}`,
  ].join("\n\n");
}

/** "-o, --out FILE". */
export function optionText(name: string, { short, value }: OptionSpec): string {
  const dashed = `${short === undefined ? "" : `-${short}, `}--${name}`;
  return value === undefined ? dashed : `${dashed} ${value}`;
}

/** With its choices, and whether it may be repeated. */
export function optionAbout({ about, choices, range, repeated }: OptionSpec): string {
  const notes = [
    ...(choices === undefined ? [] : [choices.join(", ")]),
    ...(range === undefined ? [] : [`${range[0]} to ${range[1]}`]),
    ...(repeated ? ["any number of times"] : []),
  ];
  return notes.length === 0 ? about : `${about} (${notes.join("; ")})`;
}

function indented(rows: readonly (readonly string[])[]): string {
  // As a table without a header.
  const text = formatTable(["", ""], rows as string[][], ["", ""]);
  return text
    .split("\n")
    .slice(1)
    .map((line) => `  ${line}`)
    .join("\n");
}
