/**
 * Modules that are loaded when they are first needed, within a call that is synchronous, as activations are.
 * A worker thread is up in half the time without those that few blocks need: admission, batches in parallel
 * and the glue of their loops are two thirds of what it could need.
 */

import { createRequire } from "node:module";

/** The module `name`, as seen from the module at `url`, with the extension of sources. */
export function lazy<M>(url: string, name: string): () => M {
  let module: M | undefined;
  // In the package everything is JavaScript.
  const file = url.endsWith(".ts") ? name : name.replace(/\.ts$/, ".js");
  return () => {
    module ??= createRequire(url)(file) as M;
    return module;
  };
}
