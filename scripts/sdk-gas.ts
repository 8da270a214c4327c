/**
 * What operations of the SDK cost, measured: each is a function of a contract that does it any number of
 * times, and its gas is what one more time costs, but for the same loop with nothing in it: the median of
 * several. So what is paid once, as for pages that are touched or changed, is not in it.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Call, type Outcome, TestContract } from "../runtime/app/index.ts";

/** Statements by the operation that they do: `i` counts, `sum` takes what is of no use otherwise. */
const OPERATIONS: Readonly<Record<string, string>> = {
  caller: "sum += load<u8>(changetype<usize>(caller()))",
  "block.height": "sum += block.height",
  "block.time": "sum += block.time",
  emit: "event.number = i; emit(event)",
  "Option.some": "sum += Option.some<u64>(i).isSome ? 1 : 0",

  "StateMap.size": "sum += map.size",
  "StateMap.has": "sum += map.has(key(i)) ? 1 : 0",
  "StateMap.get": "sum += map.get(key(i))",
  "StateMap.getOrAdd": "sum += map.getOrAdd(key(i))",
  "StateMap.set": "map.set(key(i), i)",
  "StateMap.set, a new key": "map.set(key(100 + i), i)",
  "StateMap.delete": "map.delete(key(i))",
  "StateMap.next": "at = map.next(at); sum += at",
  "StateMap.keyAt": "sum += load<u8>(changetype<usize>(map.keyAt(first)))",
  "StateMap.valueAt": "sum += map.valueAt(first)",
  "StateSet.size": "sum += items.size",
  "StateSet.has": "sum += items.has(key(i)) ? 1 : 0",
  "StateSet.add": "items.add(key(100 + i))",
  "StateSet.delete": "items.delete(key(i))",
  "StateVector.length": "sum += list.length",
  "StateVector.get": "sum += list[i]",
  "StateVector.set": "list[i] = i",
  "StateVector.push": "list.push(i)",
  "StateVector.add": "sum += list.add()",
  "StateVector.pop": "list.pop()",
  "StateCell.value": "sum += cell.value",
  "StateCell.add": "cell.add(1)",
  "StateCell.subtract": "cell.subtract(1)",

  "Address.zero": "sum += load<u8>(changetype<usize>(Address.zero()))",
  "Address.clone": "sum += load<u8>(changetype<usize>(key(i).clone()))",
  "Address.equals": "sum += key(i) == who ? 1 : 0",
  plus: "sum = plus(sum, i)",
  minus: "sum = minus(sum, i & 1)",
  times: "sum = times(sum, 1 + (i & 1))",
  "u128.from": "sum += u128.from(i).toU64()",
  "u128.add": "narrow = narrow.add(narrow1)",
  "u128.subtract": "narrow = narrow.subtract(narrow1)",
  "u128.multiply": "narrow = narrow.multiply(narrow1)",
  "u128.divideU64": "narrow = narrow.divideU64(3)",
  "u128.lessThan": "sum += narrow.lessThan(narrow1) ? 1 : 0",
  "u128.equals": "sum += narrow == narrow1 ? 1 : 0",
  "u256.from": "sum += u256.from(i).toU64()",
  "u256.add": "wide = wide.add(wide1)",
  "u256.subtract": "wide = wide.subtract(wide1)",
  "u256.multiply": "wide = wide.multiply(wide1)",
  "u256.divideU64": "wide = wide.divideU64(3)",
  "u256.lessThan": "sum += wide.lessThan(wide1) ? 1 : 0",
  "u256.equals": "sum += wide == wide1 ? 1 : 0",

  "fungible.mint": "mint(key(i), one)",
  "fungible.burn": "burn(key(0), one)",
  "fungible.transfer": "transfer(key(0), key(i), one)",
  "fungible.balanceOf": "sum += balanceOf(key(i)).toU64()",
  "fungible.approve": "approve(key(i), key(0), one)",
  "nonfungible.mintItem": "mintItem(who, 100 + i)",
  "nonfungible.transferItem": "transferItem(who, i, key(i))",
  "nonfungible.ownerOfItem": "sum += load<u8>(changetype<usize>(ownerOfItem(i)))",
  "ownership.onlyOwner": "onlyOwner()",
  "ownership.onlyRole": "onlyRole(1)",
  "pausing.whenNotPaused": "whenNotPaused()",
};
/** What an operation's own key takes. */
const KEY = "sum += load<u8>(changetype<usize>(key(i)))";

const TIMES_MAX = 12;

function source(): string {
  const bodies = [...Object.values(OPERATIONS), "sum += i", KEY];
  const functions = bodies.map(
    (statement, k) => `  @transaction f${k}(n: u32): void {
    let sum: u64 = 1000, at: u32 = 0;
    let narrow = u128.from(1000), wide = u256.from(1000);
    const narrow1 = u128.from(1), wide1 = u256.from(1), one = u256.from(1);
    const who = caller(), event = new Counted(), first = map.next(0);
    for (let i: u32 = 0; i < n; i++) { ${statement}; }
    result.value = sum + at + narrow.toU64() + wide.toU64() + first + event.number + one.toU64();
    if (who == key(99)) result.value = narrow1.toU64() + wide1.toU64();
  }`,
  );
  return `import { Address, Option, StateCell, StateMap, StateSet, StateVector } from "stillpoint/guest";
import { block, caller, contract, emit, minus, plus, record } from "stillpoint/guest";
import { setup, times, transaction } from "stillpoint/guest";
import { u128, u256 } from "stillpoint/guest";
import { approve, balanceOf, burn, mint, transfer } from "stillpoint/guest/modules/fungible";
import { mintItem, ownerOfItem, transferItem } from "stillpoint/guest/modules/nonfungible";
import { grantRole, onlyOwner, onlyRole, setOwner } from "stillpoint/guest/modules/ownership";
import { whenNotPaused } from "stillpoint/guest/modules/pausing";

@record class Counted { number: u32 = 0; }
const map = new StateMap<Address, u64>(64);
const items = new StateSet<Address>(64);
const list = new StateVector<u64>(64);
const cell = new StateCell<u64>();
const result = new StateCell<u64>();
const bytes: usize = memory.data(24, 8);

function key(i: u32): Address {
  store<u32>(bytes, i);
  return Address.from(bytes);
}

@contract class Measured {
  @setup begin(owner: Address): void {
    setOwner(owner);
    cell.value = 1000;
    for (let i: u32 = 0; i < 20; i++) {
      map.set(key(i), i);
      items.add(key(i));
      list.push(i);
      mint(key(i), u256.from(1000));
      mintItem(owner, i);
    }
  }
  @transaction grant(who: Address): void { grantRole(1, who); }
${functions.join("\n")}
}
`;
}

/** Gas of each operation, by its name. */
export async function measureGas(): Promise<ReadonlyMap<string, number>> {
  // At a fixed place, so that the compiler's cache knows it again.
  const directory = fileURLToPath(new URL("../.cache/sdk-gas", import.meta.url));
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
  const file = join(directory, "measured.ts");
  writeFileSync(file, source());
  const from = `0x${"00".repeat(20)}` as const;
  const tested = await TestContract.open(file, { setup: { Measured: { owner: from } } });
  const calls = tested.client.Measured as Readonly<Record<string, (args: object) => Call>>;
  tested.call(calls.grant?.({ who: from }) as Call, { from });
  const fresh = tested.checkpoint;
  const gasOf = (k: number): number => {
    const gas = Array.from({ length: TIMES_MAX }, (_, n) => {
      tested.checkpoint = fresh;
      const outcome: Outcome = tested.call(calls[`f${k}`]?.({ n: n + 1 }) as Call, { from });
      if (!outcome.ok) throw new Error(`operation ${k} failed: ${outcome.error}`);
      return outcome.gasUsed;
    });
    const more = gas.slice(1).map((each, i) => each - (gas[i] as number));
    return more.sort((a, b) => a - b)[more.length >> 1] as number;
  };
  const names = Object.keys(OPERATIONS);
  const [empty, keyed] = [gasOf(names.length), gasOf(names.length + 1)];
  return new Map(
    names.map((name, k) => {
      const hasKey = /\bkey\(/.test(OPERATIONS[name] as string);
      return [name, Math.max(1, gasOf(k) - (hasKey ? keyed : empty))];
    }),
  );
}
