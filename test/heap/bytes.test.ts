/** Views of memories are checked where bytes are taken from them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { copyBytes, equalBytes, part } from "../../runtime/heap/bytes.ts";

test("a view of another length than was asked for is a panic, not other bytes", () => {
  const bytes = Uint8Array.of(1, 2, 3, 4);
  assert.deepEqual([...part(bytes, 1, 2)], [2, 3]);
  // Half a byte: an engine gives a view of none.
  const panic = { code: "KERNEL_PANIC", message: /another view/ };
  assert.throws(() => part(bytes, 0, 0.5), panic);
  assert.throws(() => copyBytes(bytes, 0, new Uint8Array(4), 0, 0.5), panic);
  assert.throws(() => equalBytes(bytes, 0, bytes, 0, 0.5), panic);
});
