/**
 * A producer for test/log/kill.test.ts: node kill-run.ts LOG STORE DURABILITY. Appends blocks until it is
 * killed, and prints the height and id of each once it is acknowledged.
 */

import { directoryLog, sequence } from "../../runtime/log/index.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";

const [log, path] = process.argv.slice(2) as [string, string];
const runtime = await open([], { workers: 1, runner: "sequential", store: { path, durability: "logged" } });
const sequencer = await sequence(runtime, directoryLog(log), { writer: "a" });
for (;;) {
  const { height, id } = await sequencer.produce(metadata(runtime.head.height + 1, process.pid));
  process.stdout.write(`${height} ${id}\n`);
}
