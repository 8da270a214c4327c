/** Rows of the benchmark "gas" about calls. */

import * as abi from "../../syscalls/abi.ts";
import type { GetSpec, PutSpec } from "../driver.ts";
import { quota } from "../driver.ts";
import type { Caller, Request } from "./caller.ts";
import { tinyModule } from "./modules.ts";
import {
  activation,
  fillOwn,
  gasGuest,
  MANY,
  make,
  ok,
  PAGE,
  type Row,
  sharePage,
  stepping,
  touching,
} from "./rows.ts";
import { PRIVATE, Steps } from "./steps.ts";

/** Pages that a child differs in from its reference snapshot. */
const CHANGED = 12_000;
const tiny = tinyModule(0);

/** The same call again and again. */
function again(name: string, spec: { put?: PutSpec; get?: GetSpec }, times = 5_000): Row {
  return {
    name,
    programs: [touching(MANY)],
    open: (caller, [hash]) => {
      make(caller, 1, hash!);
      fillOwn(caller, 0, 3);
      sharePage(caller, 1, 0, PRIVATE, 2);
      fillOwn(caller, 0, 4);
      const request = spec.put ? caller.putRequest(1, spec.put) : caller.getRequest(1, spec.get ?? {});
      return () => caller.repeat([request], times);
    },
  };
}

/** GETs of numbers below 200,000 without a child. */
function withoutChild(caller: Caller, count: number): readonly Request[] {
  const get = caller.getRequest(0, { status: true });
  return Array.from({ length: count }, (_, i) => ({ ...get, child: i + 1, expected: abi.E_NO_CHILD }));
}

/** A child with children that are started and not joined. */
function withStarted(caller: Caller, hashes: readonly Uint8Array[], count: number): void {
  make(caller, 1, hashes[0]!, { memoryQuotaPages: quota(200_000), processQuota: count, heldGas: 1e12 });
  const program = PRIVATE + PAGE;
  const steps = new Steps().put(0, { program, start: { entry: "nothing", gas: 30_000 } }, count);
  ok(caller.put(1, { ranges: [{ source: hashes[1]!, target: program }] }));
  caller.repeat(stepping(caller, 1, steps, { gas: 1e12 }));
}

export const CALL_ROWS: readonly Row[] = [
  again("GET STATUS", { get: { status: true } }),
  {
    name: "PUT COPY of a byte and GET HASH",
    programs: [touching(MANY)],
    open: (caller, [hash]) => {
      make(caller, 1, hash!);
      fillOwn(caller, 0, 3);
      sharePage(caller, 1, 0, PRIVATE, MANY);
      const hashing = caller.getRequest(1, { hash: true });
      const copies = [0, 64].map((source) =>
        caller.putRequest(1, { ranges: [{ source, target: PRIVATE + 64 * PAGE, length: 1 }] }),
      );
      caller.store(64, Uint8Array.of(9));
      return () => caller.repeat([copies[0]!, hashing, copies[1]!, hashing], 500);
    },
  },
  again("PUT COPY of a byte", { put: { ranges: [{ source: 0, target: PRIVATE + PAGE, length: 1 }] } }),
  again("PUT COPY of a page", { put: { ranges: [{ source: 0, target: PRIVATE + PAGE, length: PAGE }] } }),
  again("PUT ZERO of a byte", { put: { ranges: [{ zero: true, target: PRIVATE, length: 1 }] } }),
  again("GET COPY of a byte", { get: { copy: [{ source: PRIVATE, length: 1, target: PAGE }] } }),
  again("GET COPY of a page", { get: { copy: [{ source: PRIVATE, length: PAGE, target: PAGE }] } }),
  {
    name: "GET of numbers without a child",
    programs: [],
    open: (caller) => {
      const requests = withoutChild(caller, 5_000);
      return () => caller.repeat(requests);
    },
  },
  {
    name: "PROGRAM and DROP of a tiny child",
    programs: [tiny],
    open: (caller, [hash]) => {
      const requests = [caller.putRequest(1, { program: hash! }), caller.putRequest(1, { drop: true })];
      return () => caller.repeat(requests, 2_000);
    },
  },
  ...[0, 50_000].map(
    (children): Row => ({
      name: `PROGRAM by an unknown hash, ${children} children, 100,000 numbers without one`,
      programs: [tiny],
      open: (caller, [hash]) => {
        const put = caller.putRequest(0, { program: hash! });
        caller.repeat(Array.from({ length: children }, (_, child) => ({ ...put, child: child + 200_000 })));
        caller.settle();
        caller.repeat(withoutChild(caller, 100_000));
        const unknown = caller.putRequest(0, { program: new Uint8Array(32).fill(9) });
        return () => caller.repeat([{ ...unknown, expected: abi.E_BAD_PROGRAM }], 10);
      },
    }),
  ),
  {
    name: "CLONE of the caller, 1,000 pages changed",
    programs: [tiny],
    open: (caller) => {
      const put = caller.putRequest(1, { clone: abi.CLONE_SELF, memoryQuotaPages: quota(2048) });
      let byte = 0;
      return () => {
        fillOwn(caller, 8 << 20, ++byte, 1000);
        return caller.repeat([put]);
      };
    },
  },
  {
    name: "CLONE of a child over 2,000 started ones",
    programs: [gasGuest(), tiny],
    open: (caller, hashes) => {
      withStarted(caller, hashes, 2_000);
      const clone = caller.putRequest(2, { clone: 1 });
      return () => caller.repeat([clone], 20);
    },
  },
  {
    name: "abort of a child, back to one with 2,000 started ones",
    programs: [gasGuest(), tiny],
    open: (caller, hashes) => {
      withStarted(caller, hashes, 2_000);
      // The steps become part of the image that the next START keeps as reference snapshot.
      const requests = stepping(caller, 1, new Steps(PRIVATE - 8192).abort(), { gas: 100_000 });
      caller.repeat(requests);
      const kept = stepping(caller, 1, new Steps(PRIVATE - 8192).abort(), { gas: 100_000, keep: true });
      return () => caller.repeat(kept, 20);
    },
  },
  {
    name: "CLONE of a started child of 64 MiB, and its join",
    programs: [touching(MANY)],
    open: (caller, [hash]) => {
      make(caller, 1, hash!);
      fillOwn(caller, 0, 3);
      sharePage(caller, 1, 0, PRIVATE, MANY);
      make(caller, 3, hash!);
      ok(caller.put(1, { start: { entry: "nothing", gas: 1e8 } }));
      const requests = [caller.putRequest(2, { clone: 1 }), caller.getRequest(2, { status: true })];
      return () => caller.repeat(requests, 500);
    },
  },
];

/** The caller has the byte in its pages where the child had 3 at its START and has another one now. */
function merging(
  name: string,
  own: number,
  child: number,
  merge: Merge,
  times: number,
  expected: number,
): Row {
  return {
    name,
    programs: [touching(CHANGED)],
    open: (caller, [hash]) => {
      make(caller, 1, hash!);
      fillOwn(caller, 0, 3);
      sharePage(caller, 1, 0, PRIVATE, CHANGED);
      caller.repeat(activation(caller, 1, { entry: "nothing" }));
      fillOwn(caller, PAGE, child);
      sharePage(caller, 1, PAGE, PRIVATE, CHANGED);
      fillOwn(caller, PRIVATE, own, CHANGED);
      const request = { ...caller.getRequest(1, { merge }), expected };
      return () => caller.repeat([request], times);
    },
  };
}

type Merge = NonNullable<GetSpec["merge"]>;
const all = { address: PRIVATE, length: CHANGED * PAGE };
const added = { ...all, kind: abi.MERGE_ADD_64 };

export const MERGE_ROWS: readonly Row[] = [
  merging("MERGE of nothing over 12,000 changes", 3, 7, { address: 0, length: 0 }, 2_000, abi.OK),
  merging("MERGE of equal bytes under other references", 3, 3, all, 20, abi.OK),
  merging("MERGE of 12,000 changes", 3, 7, all, 1, abi.OK),
  merging("MERGE of 12,000 pages of conflicts", 4, 7, all, 1, abi.E_CONFLICT),
  merging("MERGE ADD_64 of 12,000 pages", 4, 7, added, 1, abi.OK),
];
