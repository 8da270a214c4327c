/**
 * What makes the blocks of a log: a runtime, or an app. A block is a candidate until the log has it, or until
 * its id is that of the log; only then it is committed.
 */

import type { App, BlockOptions, Produced, Proposal, Upgrade } from "../app/index.ts";
import { badArgument } from "../arguments.ts";
import { type Block, type Candidate, encodeRulesChange, type ProduceOptions, Runtime } from "../index.ts";
import { type BlockEntry, optionsOf } from "./entry.ts";

/** What `produce` of a runtime's sequencer takes: as `Runtime.produce`. */
export type RuntimeArguments = [metadata: Uint8Array, options?: ProduceOptions];
/** What `produce` of an app's sequencer takes: as `App.produce`, or an upgrade. */
export type AppArguments = [options?: BlockOptions & { readonly upgrade?: Upgrade }];

/** A block that is not of the chain yet. */
export interface Made {
  readonly block: Candidate;
}

/** A runtime or an app, as those who keep it in step with a log see it. */
export interface Replica<Arguments extends unknown[], Result> {
  readonly runtime: Runtime;
  make(...given: Arguments): Promise<Made>;
  /** Makes the block of an entry again. */
  repeat(entry: BlockEntry): Promise<Made>;
  commit(made: Made): Promise<Result>;
}

/** A replica of a runtime. */
export function runtimeReplica(runtime: Runtime): Replica<RuntimeArguments, Block> {
  const run = async (...given: RuntimeArguments) => ({ block: await runtime.execute(...given) });
  return {
    runtime,
    make: run,
    repeat: (entry) => run(entry.metadata, { ...optionsOf(entry), hints: entry.hints }),
    commit: ({ block }) => runtime.commit(block),
  };
}

/** A replica of an app. What signed transactions say is checked in each, since that is part of the block. */
export function appReplica(app: App): Replica<AppArguments, Produced> {
  return {
    runtime: app.runtime,
    make: (options = {}) => app.execute(options),
    repeat({ metadata, gasLimit, rules, hints }) {
      const change = rules === undefined ? new Uint8Array(0) : encodeRulesChange(rules);
      const message = new Uint8Array(Buffer.concat([metadata, change]));
      return app.execute({ message, allowUpgrade: true, gasLimit, hints });
    },
    commit: (proposal) => app.commit(proposal as Proposal),
  };
}

/** A replica of either. */
export function replicaOf(target: Runtime | App): Replica<unknown[], unknown> {
  if (target instanceof Runtime) return runtimeReplica(target) as Replica<unknown[], unknown>;
  if (target?.runtime instanceof Runtime) return appReplica(target) as Replica<unknown[], unknown>;
  throw badArgument("target", target, "a Runtime or an App");
}
