/** Where a log of blocks lies, as the command's option says it: in a directory, or in a stream of NATS. */

import { UsageError } from "../../runtime/index.ts";
import { type BlockLog, directoryLog, jetStreamLog } from "../../runtime/log/index.ts";

/** A log, and what ends it and its connection. */
export interface OpenLog {
  readonly log: BlockLog;
  readonly close: () => Promise<void>;
}

/** Opens "nats://HOST:PORT/STREAM", or a directory. */
export async function openLog(place: string): Promise<OpenLog> {
  if (!place.startsWith("nats://")) {
    const log = directoryLog(place);
    return { log, close: () => log.close() };
  }
  const { host, pathname } = new URL(place);
  const stream = pathname.slice(1);
  if (stream === "")
    throw new UsageError("BAD_OPTION", "--log takes nats://HOST:PORT/STREAM, or a directory");
  const { connect } = await import("@nats-io/transport-node");
  // A server that is away comes back: the writer waits for it, and followers continue.
  const connection = await connect({ servers: host, maxReconnectAttempts: -1 });
  const log = await jetStreamLog({ connection, stream });
  return {
    log,
    async close() {
      await log.close();
      await connection.close();
    },
  };
}
