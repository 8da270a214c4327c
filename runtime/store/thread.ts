/** The thread of a store's writer (writer.ts): does what store.ts asks for, one thing after the other. */

import { parentPort, workerData } from "node:worker_threads";
import { Heap } from "../heap/heap.ts";
import { storeFailure } from "./failures.ts";
import { type Answer, buffers, type Call, type WriterData } from "./message.ts";
import { type Step, Writer } from "./writer.ts";

const port = parentPort as NonNullable<typeof parentPort>;
const { place, genesis, heap, owner, bit, sources, steps } = workerData as WriterData;
const step: Step = steps === undefined ? () => {} : (await import(steps)).step;
let writer: Writer | null = null;

async function perform({ method, args }: Call): Promise<unknown> {
  if (method === "open") {
    writer = new Writer(place, Buffer.from(genesis), new Heap(heap, owner), bit, step, sources);
    return writer.state;
  }
  const open = writer as Writer;
  return (open[method] as (...all: unknown[]) => unknown)(...(buffers(args) as unknown[]));
}

port.on("message", async (call: Call) => {
  const { number } = call;
  try {
    port.postMessage({ number, result: await perform(call) } satisfies Answer);
  } catch (error) {
    const { code, message, facts } = storeFailure(error, place.path);
    port.postMessage({ number, error: { code, message, facts } } satisfies Answer);
  }
  if (call.method === "close") port.close();
});
