/** Loaded with --import by test/planted.ts: puts faults into sources as they are loaded. */

import assert from "node:assert/strict";
import { registerHooks } from "node:module";
import type { Fault } from "./planted.ts";

const faults = JSON.parse(process.env.STILLPOINT_FAULTS ?? "[]") as Fault[];

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const planted = faults.filter(({ file }) => url.endsWith(`/${file}`));
    if (planted.length === 0) return loaded;
    let source = Buffer.from(loaded.source as Uint8Array).toString();
    for (const { find, put } of planted) {
      assert.equal(source.split(find).length, 2, `${url} has "${find}" once`);
      source = source.replace(find, () => put);
    }
    return { ...loaded, source };
  },
});
