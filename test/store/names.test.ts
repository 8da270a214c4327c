/**
 * Objects are named by the hash of their bytes, pages and blobs alike. So one object may be a page of a
 * memory and the metadata of a block; it is whole as both, whichever was written first.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Runtime } from "../../runtime/index.ts";
import { exportBlock, openImport, repairStore, verifyStore } from "../../runtime/store.ts";
import { guest } from "../fixture.ts";
import { everyState, withDirectory } from "./directory.ts";

const PAGE = 4096;
const root = await guest("region");

/** Bytes of a page: without zeros, or with some, which are stored in another form. */
function bytes(seed: number, zeros: boolean): Uint8Array {
  return Uint8Array.from({ length: PAGE }, (_, i) =>
    zeros && i > 100 ? 0 : 1 + ((i * seed + (i >> 8)) % 255),
  );
}

for (const zeros of [false, true]) {
  test(`metadata with the bytes of a page, zeros: ${zeros}`, async () => {
    await withDirectory(async (path) => {
      const store = everyState(`${path}/a`);
      let runtime = await Runtime.open({ root, workers: 1, store });
      const [one, two] = [bytes(3, zeros), bytes(5, zeros)];
      // The page first, and then the blob; and both at once.
      const chain = [Buffer.concat([one, two]), one, bytes(7, zeros)];
      for (const metadata of chain) await runtime.produce(metadata);
      const ids = runtime.blocks().map(({ id }) => id);
      await runtime.close();
      assert.deepEqual((await verifyStore(store.path)).damages, []);
      assert.deepEqual((await repairStore(store.path)).damages, []);

      runtime = await Runtime.open({ root, workers: 1, store });
      assert.deepEqual(
        runtime.blocks().map(({ id }) => id),
        ids,
      );
      for (const [i, metadata] of chain.entries()) {
        assert.deepEqual(Buffer.from(runtime.input(i + 1).metadata), Buffer.from(metadata));
        assert.deepEqual(Buffer.from(runtime.blocks()[i + 1]?.data ?? []), Buffer.from(metadata));
      }
      const { head } = runtime;
      await runtime.revert(1);
      for (const metadata of chain.slice(1)) await runtime.produce(metadata);
      assert.equal(runtime.head.id, head.id);
      await runtime.close();

      const importer = await openImport(`${path}/b`, head.id);
      for await (const chunk of exportBlock(store.path)) importer.take(chunk);
      await importer.finish();
      assert.deepEqual((await verifyStore(`${path}/b`)).damages, []);
    });
  });
}
