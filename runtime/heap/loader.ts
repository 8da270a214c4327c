/** What loads objects that lie in a store, as the heap sees it. How it is done: stub.ts. */

import { StoreError } from "../errors.ts";
import type { Ref } from "./heap.ts";

export interface Loader {
  /**
   * The object that `stub` stands for.
   *
   * @throws StoreError (STORE_CORRUPT, STORE_READ, STORE_CLOSED), LimitError (HEAP_FULL)
   */
  load(stub: Ref): Ref;
  /** Asks for an object that is needed soon, if there is room for the request; does not wait. */
  prefetch(stub: Ref): void;
}

/** For heaps without a store: no stub can be met. */
export const NO_LOADER: Loader = {
  load() {
    throw new StoreError("STORE_CLOSED", "what is asked for lies in a store, and that is closed");
  },
  prefetch() {},
};
