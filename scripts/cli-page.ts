/** docs/cli.md from the table of commands: `node scripts/cli-page.ts` writes it, and a test compares. */

import { readFileSync, writeFileSync } from "node:fs";
import { type CommandSpec, usage } from "../runtime/cli/command.ts";
import { EXIT_CODES, optionAbout, optionText } from "../runtime/cli/help.ts";
import { membersOf } from "../runtime/cli/parse.ts";
import { GROUPS, OTHER_NAMES, TABLE } from "../runtime/cli/table.ts";

/** The page is generated after this line, and written by hand before it. */
const MARK = "<!-- The rest is made by scripts/cli-page.ts. -->";

/** The whole page, with the part of `page` that is written by hand. */
export function cliPage(page: string): string {
  const [head = ""] = page.split(MARK);
  const codes = EXIT_CODES.map(([code, meaning]) => `| ${code} | ${meaning} |`).join("\n");
  const plain = Object.keys(TABLE).filter((name) => !name.includes(" "));
  const parts = [
    `${head}${MARK}\n\n| exit code | what it means |\n| --- | --- |\n${codes}\n`,
    ...plain.map((name) => part(name, "##")),
    ...Object.entries(GROUPS).flatMap(([group, summary]) => [
      `## stillpoint ${group}\n\n${summary}.\n`,
      ...membersOf(TABLE, group).map((name) => part(name, "###")),
    ]),
    `## Other names\n\n${names()}\n`,
  ];
  return `${parts.join("\n").trimEnd()}\n`;
}

function part(name: string, heading: string): string {
  const spec = (TABLE as Readonly<Record<string, CommandSpec>>)[name] as CommandSpec;
  const rows = [
    ...Object.entries(spec.arguments ?? {}).map(([word, { about }]) => [word, about]),
    ...Object.entries(spec.options ?? {}).map(([option, each]) => [
      optionText(option, each),
      optionAbout(each),
    ]),
  ];
  const about = spec.about?.startsWith("  ") ? `\`\`\`text\n${spec.about}\n\`\`\`` : spec.about;
  return [
    `${heading} ${usage(name, spec)}`,
    `${capital(spec.summary)}. ${spec.no === undefined ? "" : `The exit code is 1 ${spec.no}.`}`.trim(),
    ...(about === undefined ? [] : [about]),
    `\`\`\`sh\nnpx stillpoint ${spec.example}\n\`\`\``,
    ...(rows.length === 0 ? [] : [`| | |\n| --- | --- |\n${rows.map(row).join("\n")}`]),
    "",
  ].join("\n\n");
}

function row([left = "", right = ""]: readonly string[]): string {
  return `| \`${left}\` | ${right.replaceAll("|", "\\|")} |`;
}

function names(): string {
  const all = Object.entries(OTHER_NAMES).map(([other, now]) => `\`${other}\`: \`${now}\``);
  return `These are not commands: the present name is printed instead, with exit code 2. ${all.join("; ")}.`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

if (import.meta.main) {
  const file = new URL("../docs/cli.md", import.meta.url);
  writeFileSync(file, cliPage(readFileSync(file, "utf8")));
}
