/** What can be wrong with a log, or with those who write and read it. runtime/README.md lists the codes. */

import { StillpointError } from "../errors.ts";

/** A log cannot be written or read, or says something else than a replica. */
export class LogError extends StillpointError {}

/** Somebody else has appended. */
export function fenced(writer: string, by: string, entry: number): LogError {
  const text =
    `"${by}" writes the log since entry ${entry}, and "${writer}" no longer does: nothing that it makes ` +
    "would be in the log. Follow it";
  return new LogError("LOG_FENCED", text, { writer, by, entry });
}

/** An entry is not the next one any more. */
export function notNext(entry: number): LogError {
  const text = `entry ${entry} of the log is there already: read it, and append behind it`;
  return new LogError("LOG_TAKEN", text, { entry });
}

/** The log does not have the block that is needed. */
export function truncated(height: number, lowest: number): LogError {
  const text =
    `the log begins with block ${lowest}, and block ${height} is needed: begin with a copy of a store that ` +
    `has block ${lowest - 1}`;
  return new LogError("LOG_TRUNCATED", text, { height, lowest });
}

/** An entry is not there that was, or has to be; `where` is the log. */
export function lost(where: string, entry: number): LogError {
  const text =
    `entry ${entry} is not in ${where}: it was lost, or somebody has deleted it. Begin another log from a ` +
    "replica's store";
  return new LogError("LOG_LOST", text, { where, entry });
}

/** The log was closed. */
export function closed(): LogError {
  return new LogError("LOG_CLOSED", "the log is closed: open it again");
}
