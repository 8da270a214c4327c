/**
 * Where a block of an app spends its gas: each of its transactions runs again in a process of its own, on the
 * state that the ones before it have left.
 */

import { joinProfiles, type Profile, type ProfileOptions, samplingOf } from "../debug.ts";
import { UsageError } from "../errors.ts";
import type { Block, BlockInput, Runtime } from "../index.ts";
import { TestProcess } from "../testing.ts";
import { Client } from "../typed/client.ts";
import { TRANSACTION_ENTRY } from "../typed/entry.ts";
import { readInterface } from "../typed/interface.ts";
import type { App } from "./app.ts";
import { APP, CONTEXT_BYTES, programAt } from "./programs.ts";
import { copyState } from "./test-contract.ts";
import { inputsOfBlock, isItemOfApp, type TracedTransaction, transactionsOf } from "./trace.ts";

const ROOT = "(root and authentication)";

/**
 * Where a retained block of an app spends its gas.
 *
 * @throws UsageError (NOT_RETAINED; for an upgrade NO_INTERFACE)
 * @example
 * ```ts
 * await writeFile("gas.svg", flameGraph(await profileBlock(app)));
 * ```
 */
export async function profileBlock(
  { runtime }: App,
  block: Block = runtime.head,
  options: ProfileOptions = {},
): Promise<Profile> {
  const parent = runtime.retained().find(({ id }) => id === block.parent);
  if (parent === undefined)
    throw new UsageError("NOT_RETAINED", "the block before is not retained any more", { block: block.id });
  return profileInput(runtime, parent, runtime.input(block), options);
}

/**
 * Where a block with this input spends its gas, on `parent`. Below a frame for each transaction that ran are
 * the functions of the program; what the root and its calls take is one more. The sum is the block's gas.
 *
 * @throws UsageError NO_INTERFACE if it is not the block of an app; as `Runtime.trace`
 */
export async function profileInput(
  runtime: Runtime,
  parent: Block,
  input: BlockInput,
  options: ProfileOptions = {},
): Promise<Profile> {
  const { samples, onSample } = samplingOf(options);
  const name = programAt(runtime, parent);
  if (name === null)
    throw new UsageError("NO_INTERFACE", "the block is not of an app: profile its guests in tests");
  const program = runtime.programBytes(name);
  const client = new Client(readInterface(program));
  const trace = await runtime.trace({ ...input, on: parent });
  const last = trace.events.findLast(({ what }) => what === "end");
  const all = last?.what === "end" ? last.gasUsed : 0;
  const { inputs, time } = await inputsOfBlock(runtime, input.metadata, parent);
  const traced = { message: input.metadata, parent, trace, client, printing: null };
  const transactions = new Map(
    (await transactionsOf(runtime, traced)).map((each): [number | null, TracedTransaction] => [
      each.item,
      each,
    ]),
  );
  const tested = await TestProcess.open(program);
  const { stateBytes } = client.description;
  copyState((address, length) => runtime.read(APP, address, length, parent), tested, stateBytes);
  const context = new DataView(tested.read(0, CONTEXT_BYTES).slice().buffer);
  context.setBigUint64(0, context.getBigUint64(0, true) + 1n, true);
  context.setBigUint64(8, time, true);
  tested.write(0, new Uint8Array(context.buffer));
  const parts: [string, Profile][] = [];
  for (const event of trace.events.filter(isItemOfApp)) {
    const transaction = transactions.get(event.item);
    const bytes = inputs[transaction?.number ?? event.item] as Uint8Array;
    const share = Math.max(1, Math.ceil((samples * event.gasUsed) / Math.max(all, 1)));
    const title = `${transaction?.number ?? event.item} ${transaction?.call ?? "an unknown function"}`;
    parts.push([title, tested.profileItem(TRANSACTION_ENTRY, bytes, { samples: share, onSample })]);
    if (event.fault === "none") tested.batch(TRANSACTION_ENTRY, [bytes]);
  }
  const rest = all - parts.reduce((sum, [, part]) => sum + part.gasUsed, 0);
  const { samples: stacks } = joinProfiles(parts);
  const own = { stack: [{ name: ROOT, file: "", line: 0 }], gas: rest };
  return { gasUsed: all, samples: rest > 0 ? [...stacks, own] : stacks };
}
