/** stillpoint inspect DIR profile: where a block spends its gas, by running its transactions again. */

import { profileInput } from "../../app/profile.ts";
import { programAt } from "../../app/programs.ts";
import { printingOf } from "../../app/trace.ts";
import { flameGraph, formatProfile, type Profile, speedscope } from "../../debug.ts";
import { openReader } from "../../store.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { EXIT_OK, Progress, print, toJson, writeOutput } from "../terminal.ts";
import { beginWith, made } from "./trace.ts";

/** Runs after which progress is shown again. */
const SAMPLES_SHOWN = 20;

export const profile: Handler<Spec<"inspect profile">> = async ({ args, options, json }) => {
  await using reader = await openReader(args.DIR);
  const { parent, input } = made(reader, args.BLOCK);
  const progress = new Progress();
  const profiled = async (): Promise<Profile> => {
    await using begun = await beginWith(reader, parent);
    const { runtime } = begun;
    // Then this process knows where the sources stand.
    if (options.app !== undefined) await printingOf(options.app, programAt(runtime) ?? "");
    const { samples = 1000 } = options;
    let done = 0;
    const onSample = (): void => {
      if (done++ % SAMPLES_SHOWN === 0 && done <= samples) progress.part("run", done - 1, samples);
    };
    return await profileInput(runtime, runtime.head, input, { samples, onSample });
  };
  const found = await profiled().finally(() => progress.clear());
  const name = `gas of block ${parent.height + 1}`;
  if (options.svg !== undefined) writeOutput(options.svg, flameGraph(found, name));
  if (options.speedscope !== undefined) writeOutput(options.speedscope, toJson(speedscope(found, name)));
  print(json ? toJson(found) : formatProfile(found));
  return EXIT_OK;
};
