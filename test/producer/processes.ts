/** The producer's commands as processes of their own, for tests and for the load test. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { withDirectory } from "../store/directory.ts";

const MAIN = fileURLToPath(new URL("../../examples/producer/main.ts", import.meta.url));

/** A line that a command prints. */
export type Line = Readonly<Record<string, string | number | null>>;

/** A command in a process. */
export class CommandProcess {
  readonly child: ChildProcess;
  readonly lines: Line[] = [];
  readonly #ended: Promise<unknown>;
  #onLine: () => void = () => {};

  /** Of the producer, in a Node with these options. */
  constructor(args: readonly string[], options: readonly string[] = []) {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    this.child = spawn(process.execPath, [...options, MAIN, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
      env,
    });
    this.#ended = once(this.child, "close");
    createInterface(this.child.stdout as NodeJS.ReadableStream).on("line", (text) => {
      this.lines.push(JSON.parse(text));
      this.#onLine();
    });
    this.child.on("close", () => this.#onLine());
  }

  /** The first line, of those there are or will be, that `fits`. */
  async line(fits: (line: Line) => boolean): Promise<Line> {
    for (;;) {
      const found = this.lines.find(fits);
      if (found !== undefined) return found;
      if (this.hasEnded) throw new Error(`the command has ended, with ${JSON.stringify(this.lines.at(-1))}`);
      await new Promise<void>((resolve) => {
        this.#onLine = resolve;
      });
    }
  }

  /** Where it listens, once it does. */
  async url(): Promise<string> {
    return (await this.line(({ ready }) => ready !== undefined)).ready as string;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Ends it by a signal; its exit code, null: it was killed. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal);
    if (!this.hasEnded) await this.#ended;
    return this.child.exitCode;
  }
}

/** Hands `use` the name of a directory that is not there, and commands; kills what is left of these. */
export async function withCommands(
  use: (start: (...args: string[]) => CommandProcess, path: string) => Promise<void>,
): Promise<void> {
  const started: CommandProcess[] = [];
  await withDirectory(async (path) => {
    try {
      await use((...args) => {
        const command = new CommandProcess(args);
        started.push(command);
        return command;
      }, path);
    } finally {
      await Promise.all(started.map((command) => command.end("SIGKILL")));
    }
  });
}
