/** What an item made is taken back where an activation below it faults, at the cost of what that one made. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Item } from "../../runtime/kernel/items/children.ts";

test("a fault takes back what was made since its mark, and nothing else", () => {
  const item = new Item();
  item.make("/1");
  const outer = item.mark();
  item.make("/2");
  const inner = item.mark();
  item.make("/2");
  item.make("/1");
  item.make("/2/7");
  item.restore(inner);
  assert.deepEqual(
    ["/1", "/2", "/2/7"].map((path) => item.isMade(path)),
    [true, true, false],
  );
  item.make("/2/7");
  item.restore(outer);
  assert.deepEqual(
    ["/1", "/2", "/2/7"].map((path) => item.isMade(path)),
    [true, false, false],
  );
  item.make("/2");
  assert.ok(item.isMade("/2"));
});

test("marks cost nothing, however much the item made", (t) => {
  let added = 0;
  const { Set: Plain } = globalThis;
  t.after(() => {
    globalThis.Set = Plain;
  });
  globalThis.Set = class<T> extends Plain<T> {
    override add(value: T): this {
      added++;
      return super.add(value);
    }
  } as SetConstructor;
  const item = new Item();
  for (let i = 0; i < 2000; i++) {
    const mark = item.mark();
    item.make(`/${i}`);
    if (i % 2 === 1) item.restore(mark);
  }
  assert.equal(added, 2000);
  assert.ok(item.isMade("/0") && !item.isMade("/1"));
});
