/**
 * The endpoints of the inspector: one for each view, all of them GET. What comes of a view is JSON of at most
 * 256 KiB, which is asserted: what may be larger is cut or given in parts by the view itself.
 *
 * The page has no access to anything but these: its policy allows no script, style or request that does not
 * come from here, and no inline script. Host and Origin are checked by the listener (http/checks.ts).
 */

import { assert } from "../errors.ts";
import { type Asked, Content, type Routes } from "../http/listener.ts";
import { type Asset, pageAssets } from "./assets.ts";
import { Query } from "./query.ts";
import type { Source } from "./source.ts";
import { batchView, itemView, meetingsView, meetingView, placeView } from "./views/batch.ts";
import { blockView } from "./views/block.ts";
import { chainView, nextVersion } from "./views/chain.ts";
import { diffOther, diffView, partView } from "./views/compare.ts";
import { faultsView, gasView } from "./views/gas.ts";
import { memoryView, stateView } from "./views/memory.ts";
import { pagesView, processesView } from "./views/processes.ts";
import { proofView } from "./views/proof.ts";
import { transactionsView } from "./views/transactions.ts";
import { whole } from "./whole-chain.ts";

/** Bytes that an answer may have. */
export const ANSWER_BYTES = 256 << 10;

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS = {
  "content-security-policy": POLICY,
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "referrer-policy": "no-referrer",
};

type View = (source: Source, query: Query, signal: AbortSignal) => object | Promise<object>;

/** Views by name, with the parameters that each takes. */
const VIEWS: Readonly<Record<string, readonly [view: View, parameters: readonly string[]]>> = {
  chain: [chainView, ["at"]],
  next: [nextVersion, ["version"]],
  block: [blockView, ["block", "height"]],
  processes: [processesView, ["block", "base", "path", "from", "changed"]],
  pages: [pagesView, ["block", "base", "path", "from"]],
  transactions: [transactionsView, ["block", "from"]],
  gas: [gasView, ["block"]],
  faults: [faultsView, ["block", "from"]],
  batch: [batchView, ["block", "again", "batch", "from", "to"]],
  item: [itemView, ["block", "again", "batch", "item"]],
  place: [placeView, ["block", "again", "batch", "line"]],
  meetings: [meetingsView, ["at"]],
  meeting: [meetingView, ["block"]],
  memory: [memoryView, ["block", "base", "path", "address", "length"]],
  state: [stateView, ["block", "path", "name", "from"]],
  diff: [diffView, ["a", "b", "path"]],
  part: [partView, ["other", "path"]],
  "diff-other": [diffOther, ["other", "height", "path"]],
  proof: [proofView, ["block", "path", "address", "length"]],
};

/** Routes of the page and of its views. */
export async function inspectorRoutes(source: Source): Promise<Routes> {
  const views = Object.entries(VIEWS).map(([name, [view, parameters]]) => {
    const answer = async ({ query, signal }: Asked): Promise<Content> =>
      contentOf(name, await whole(() => view(source, new Query(query, parameters), signal), signal));
    return [`GET /api/${name}`, answer] as const;
  });
  const assets = (await pageAssets()).map(({ path, type, bytes }: Asset) => {
    return [`GET ${path}`, () => new Content(type, bytes, HEADERS)] as const;
  });
  return Object.fromEntries([...assets, ...views]);
}

function contentOf(name: string, view: object): Content {
  const text = JSON.stringify(view, (_, each) => (typeof each === "bigint" ? String(each) : each));
  assert(Buffer.byteLength(text) <= ANSWER_BYTES, `inspector: the answer of ${name} is too large`);
  return new Content("application/json", text, HEADERS);
}
