/** A planted fault, imported before the producer's command: blocks are acknowledged, and written later. */

import { setTimeout as sleep } from "node:timers/promises";
import { Store } from "../../runtime/store/store.ts";

const LATE_MS = 30;
const { change } = Store.prototype;
let last: Promise<unknown> = Promise.resolve();

Store.prototype.change = async function (this: Store, ...args) {
  const [{ blocks }] = args;
  if (blocks.length === 0) return change.apply(this, args);
  last = last.then(() => sleep(LATE_MS)).then(() => change.apply(this, args));
  return { objects: 0, bytes: 0, sweepDue: false, more: false };
};
