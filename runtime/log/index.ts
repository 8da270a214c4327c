/**
 * `stillpoint/log`: one operator's replicas over an ordered log of blocks. One sequencer appends, followers
 * make the same blocks, read, check, and take over. docs/log.md.
 */

import "../check-node.ts";

import { badArgument, checkNames } from "../arguments.ts";
import { DirectoryStorage } from "./directory.ts";
import type { JetStreamOptions } from "./jetstream.ts";
import { BlockLog } from "./log.ts";
import { MemoryStorage } from "./storage.ts";

export type { BlockEntry, LogEntry, TermEntry } from "./entry.ts";
export { LogError } from "./errors.ts";
export {
  type Follower,
  type FollowerMetrics,
  type FollowOptions,
  type FoundDivergence,
  follow,
} from "./follower.ts";
export type { JetStreamOptions, NatsConnection } from "./jetstream.ts";
export { BlockLog, type Numbered, type ReadOptions } from "./log.ts";
export type { AppArguments, RuntimeArguments } from "./replica.ts";
export { type SequenceOptions, type Sequencer, type SequencerMetrics, sequence } from "./sequencer.ts";
export type { LogStorage } from "./storage.ts";
export type { Divergence } from "./take.ts";

/** A log in the memory of this process: for tests, and for replicas in one process. */
export function memoryLog(): BlockLog {
  return new BlockLog(new MemoryStorage());
}

/**
 * A log in a directory, which several processes may share: a file for each entry.
 *
 * @example
 * ```ts
 * const log = directoryLog("state/log");
 * const sequencer = await sequence(runtime, log, { writer: "a" });
 * ```
 */
export function directoryLog(path: string): BlockLog {
  if (typeof path !== "string" || path === "") throw badArgument("path", path, "a directory");
  return new BlockLog(new DirectoryStorage(path));
}

/**
 * A log in a stream of NATS JetStream, on a connection of one's own. Needs @nats-io/jetstream.
 *
 * @throws LogError LOG_CONFIGURATION if the stream would forget entries by itself
 * @example
 * ```ts
 * const connection = await connect({ servers: "127.0.0.1:4222" }); // of @nats-io/transport-node
 * const log = await jetStreamLog({ connection, stream: "chain" });
 * ```
 */
export async function jetStreamLog(options: JetStreamOptions): Promise<BlockLog> {
  checkNames(options, ["connection", "stream", "replicas", "timeoutMs"]);
  if (typeof options.stream !== "string" || !/^[\w-]{1,100}$/.test(options.stream))
    throw badArgument("stream", options.stream, 'a name of letters, digits, "-" and "_"');
  const { JetStreamStorage } = await import("./jetstream.ts");
  return new BlockLog(await JetStreamStorage.open(options));
}
