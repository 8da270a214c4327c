/**
 * Outputs of views in programs without STATE_BYTES, which have no usual outbox: the entry returns where its
 * output is, and the host calls it with `outbox: "returned"`.
 */

/** What an entry returns whose output are the `length` bytes at `address`. */
export function outputAt(address: usize, length: u32): i64 {
  return ((<i64>length) << 32) | <i64>address;
}
