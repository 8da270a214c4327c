/** A thread that has a store open, and makes blocks until it is ended; it says how high it is. */

import { parentPort, workerData } from "node:worker_threads";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";

const { store, busy } = workerData as { store: string; busy: boolean };
const runtime = await open([], { workers: 1, runner: "sequential", store });
do {
  const { height } = await runtime.produce(metadata(runtime.head.height + 1, 0));
  parentPort?.postMessage(height);
} while (busy);
setInterval(() => {}, 1000);
