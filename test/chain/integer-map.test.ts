/** Maps that never change, against Map. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { IntegerMap, KEY_MAX } from "../../runtime/chain/integer-map.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";

type Pair = [own: IntegerMap<number[]>, model: ReadonlyMap<number, number[]>];

function check([own, model]: Pair): void {
  const keys = [...model.keys()].sort((a, b) => a - b);
  assert.deepEqual(
    [...own.values()],
    keys.map((key) => model.get(key)),
  );
  assert.deepEqual([own.first, own.last, own.isEmpty], [keys[0] ?? -1, keys.at(-1) ?? -1, keys.length === 0]);
  for (const key of [...keys, -1, 0, 0.5, 2 ** 40, KEY_MAX]) assert.deepEqual(own.get(key), model.get(key));
}

function filtered(model: Pair[1], keep: (key: number) => boolean): Map<number, number[]> {
  return new Map([...model].filter(([key]) => keep(key)));
}

test("any operations on any of many versions give what a Map gives, and change no other version", (t) => {
  const seed = baseSeed(t);
  for (let round = 0; round < 40; round++) {
    const next = random(seed + round);
    // Keys in a row, as heights are, or from everywhere.
    const range = [20, 200, KEY_MAX][next(3)] as number;
    const key = (): number =>
      range === KEY_MAX ? (next(1 << 30) * 4 + next(4)) % (KEY_MAX + 1) : next(range);
    const versions: Pair[] = [[IntegerMap.empty(), new Map()]];
    for (let i = 0; i < 120; i++) {
      const [own, model] = versions[next(versions.length)] as Pair;
      const [other, otherModel] = versions[next(versions.length)] as Pair;
      const at = key();
      const made: Pair[] = [
        [own.set(at, [i]), new Map([...model, [at, [i]]])],
        [own.set(at, [i]), new Map([...model, [at, [i]]])],
        [own.delete(at), filtered(model, (one) => one !== at)],
        [own.below(at), filtered(model, (one) => one < at)],
        [own.from(at), filtered(model, (one) => one >= at)],
        [
          own.union(other, (a, b) => (a === b ? a : [...a, ...b])),
          new Map([
            ...otherModel,
            ...[...model].map(([one, a]): [number, number[]] => {
              const b = otherModel.get(one);
              return [one, b === undefined || a === b ? a : [...a, ...b]];
            }),
          ]),
        ],
      ];
      versions.push(made[next(made.length)] as Pair);
    }
    for (const version of versions) check(version);
    for (let i = 0; i < 60; i++) {
      const [own, model] = versions[next(versions.length)] as Pair;
      const [other] = versions[next(versions.length)] as Pair;
      const found = new Set(own.valuesNotIn(other));
      for (const key of model.keys()) {
        const value = own.get(key) as number[];
        assert.ok(found.has(value) || other.get(key) === value);
      }
    }
  }
});

test("what does not change is shared", () => {
  let map = IntegerMap.empty<number>();
  for (let key = 0; key < 1000; key++) map = map.set(key, key);
  assert.equal(map.delete(5000), map);
  assert.equal(map.below(5000), map);
  assert.equal(map.from(0), map);
  assert.equal(
    map.union(map.from(400), (own) => own),
    map,
  );
  assert.deepEqual([...map.set(2000, 2000).valuesNotIn(map)], [2000]);
  assert.deepEqual([...map.valuesNotIn(map.below(998))], [998, 999]);
});
