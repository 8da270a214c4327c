/** Memory outside of the heap: `open` asserts what guests can cause, and threads keep what is left. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { hostBounds, hostShortage, slotLimits } from "../../runtime/chain/host-bounds.ts";
import { Runtime, type UsageError } from "../../runtime/index.ts";
import { ALL_SLOTS_LIMIT, PAGE_BYTES, SLOT_BYTES_LIMIT, SLOTS_LIMIT } from "../../runtime/limits.ts";
import { quota } from "../driver.ts";
import { driver } from "../fixture.ts";

const RULES = { gasLimit: 40_000_000, heldGasQuota: 0, memoryQuotaPages: quota(100) };
const HOST = { workers: 2, views: 1, heapBytes: 2 ** 29, hostBytes: undefined };
const { hostBytes: NEEDED } = hostBounds(RULES, HOST);

test("less than guests can cause is refused with the arithmetic", async () => {
  const options = { root: driver, ...RULES, ...HOST };
  const enough = await Runtime.open({ ...options, hostBytes: NEEDED });
  await enough.close();
  await assert.rejects(Runtime.open({ ...options, hostBytes: NEEDED - 1 }), (error: UsageError) => {
    assert.equal(error.code, "BAD_OPTION");
    const { hostBytes, needed, ...terms } = error.facts as Record<string, number>;
    assert.deepEqual([hostBytes, needed], [NEEDED - 1, NEEDED]);
    assert.equal(
      Object.values(terms).reduce((sum, bytes) => sum + bytes, 0),
      NEEDED,
    );
    assert.equal(terms.runningBytes, 3 * 2 * RULES.memoryQuotaPages * PAGE_BYTES);
    assert.match(error.message, /"hostBytes" is \d+, and guests may cause \d+ .*2000.*gasLimit 40000000/s);
    return true;
  });
});

test("a change of rules cannot ask for more than there may be", () => {
  assert.equal(hostShortage(RULES, { ...HOST, hostBytes: NEEDED }), null);
  const more = { ...RULES, memoryQuotaPages: RULES.memoryQuotaPages + 1 };
  assert.match(hostShortage(more, { ...HOST, hostBytes: NEEDED })?.text ?? "", /memoryQuotaPages 2001/);
});

test("pools of instances share what is left, and the bound is the option", () => {
  const hostBytes = NEEDED + 2 ** 30;
  const { bytes } = slotLimits(RULES, { ...HOST, hostBytes });
  const total = hostBounds(RULES, { ...HOST, hostBytes }, bytes).hostBytes;
  assert.ok(total <= hostBytes && total > hostBytes - 10, `${total} of ${hostBytes}`);
});

test("without the option pools share a quarter of the machine's memory", () => {
  const pools = 2 * 3 + 1;
  assert.equal(slotLimits(RULES, HOST, 2 ** 40).bytes, SLOT_BYTES_LIMIT);
  assert.equal(slotLimits(RULES, HOST, 2 ** 32).bytes, Math.floor(2 ** 30 / pools));
  const { bytes } = slotLimits(RULES, HOST);
  assert.ok(bytes > 0 && bytes <= SLOT_BYTES_LIMIT, `${bytes}`);
});

test("all pools together keep no more instances than V8 has memories for", () => {
  const count = (workers: number, views: number) => slotLimits(RULES, { ...HOST, workers, views }).count;
  assert.equal(count(8, 1), SLOTS_LIMIT);
  for (const [workers, views] of [
    [16, 1],
    [256, 32],
    [1, 32],
  ] as const) {
    assert.ok(count(workers, views) * (2 * workers + views) <= ALL_SLOTS_LIMIT);
  }
});
