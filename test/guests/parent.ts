/**
 * The SDK's requests one by one, for a test that looks at what reaches the kernel. Entries give what the call
 * returned.
 */

import {
  Child,
  Conflict,
  FLAG_KEEP,
  MERGE_MAX_I64,
  Status,
  check,
  errorName,
  faultName,
  ret,
  snapshot,
} from "../../guest/index.ts";

export function everyPartOfPut(argument: i64): i64 {
  return Child.at(7)
    .create(0x1000, 5, 6)
    .drop()
    .copyIn(0x2000, 0x3000, 0x4000)
    .zero(0x5000, 8)
    .start("entrée", argument, 1 << 53, FLAG_KEEP)
    .put();
}

/** A clone of `source`, of this process if it is negative. */
export function cloneOf(source: i64): i64 {
  const child = Child.at(9);
  if (source < 0) child.cloneSelf(5, 6);
  else child.clone(Child.at(<i32>source));
  return child.start("run", 1, 2).put();
}

/** What a copy made by the first put finds: nothing collected. */
export function putTwice(argument: i64): i64 {
  Child.at(1).cloneSelf().put();
  return Child.at(2).drop().put();
}

export function resumeAlone(argument: i64): i64 {
  return Child.at(1048575).resume(argument, 9).put();
}

export function everyPartOfGet(argument: i64): i64 {
  return Child.at(3).copyOut(0x2000, 0x3000, 0x4000).copyOut(1, 2, 3).hash(0x5000).status().get();
}

export function mergeOf(address: i64): i64 {
  return Child.at(3)
    .status()
    .merge(<usize>address, 0x6000, MERGE_MAX_I64)
    .hash(0x5000)
    .get();
}

/** The fields of the last conflict, mixed into one number. */
export function lastConflict(argument: i64): i64 {
  const last = Conflict.last;
  return (
    ((<i64>last.count) << 48) |
    ((<i64>last.address) << 16) |
    ((<i64>last.childByte) << 8) |
    <i64>last.callerByte
  );
}

export function waitKind(argument: i64): i64 {
  return Child.at(<i32>argument).wait().kind;
}

/** All fields of the last status, mixed into one number by the test's order. */
export function lastStatus(field: i64): i64 {
  const status = Status.last;
  switch (<i32>field) {
    case 0:
      return status.kind;
    case 1:
      return status.fault;
    case 2:
      return status.code;
    case 3:
      return <i64>status.gasUsed;
    case 4:
      return status.memoryPages;
    case 5:
      return status.children;
    case 6:
      return status.line;
    case 7:
      return status.column;
  }
  return status.faulted ? 1 : 0;
}

export function joinChild(argument: i64): i64 {
  return Child.at(1).join();
}

export function callChild(argument: i64): i64 {
  return Child.at(1).call("run", argument, 1000);
}

/** As often as `rounds`: a whole round trip; the heap must stay as it is. */
export function roundTrips(rounds: i64): i64 {
  let sum: i64 = 0;
  const child = Child.at(1);
  for (let i: i64 = 0; i < rounds; i++) {
    check(child.copyIn(64, 64, 8).start("run", i, 1000).put(), "start");
    sum += child.join();
  }
  return sum;
}

export function mixedPut(argument: i64): i64 {
  Child.at(1).drop();
  return Child.at(2).drop().put();
}

export function mixedGet(argument: i64): i64 {
  Child.at(1).status();
  return Child.at(2).wait().kind;
}

export function emptyPut(argument: i64): i64 {
  return Child.at(1).put();
}

export function manyRanges(count: i64): i64 {
  const child = Child.at(1);
  for (let i: usize = 0; i < <usize>count; i++) child.copyIn(i, i, 1);
  return child.put();
}

export function longEntry(length: i64): i64 {
  return Child.at(1)
    .start("é".repeat(<i32>length), 0, 0)
    .put();
}

export function negativeChild(argument: i64): i64 {
  return Child.at(-1).drop().put();
}

export function standStill(argument: i64): i64 {
  return ret(argument) + 1;
}

export function commit(argument: i64): i64 {
  return snapshot(0x1000, 5, 0x2000, 0x3000);
}

export function checked(code: i64): i64 {
  return check(<i32>code, "the action");
}

export function names(code: i64): i64 {
  throw new Error(`${errorName(<i32>code)}, ${faultName(<u32>-code)}`);
}
