/**
 * Plants a defect: edits of sources of the runtime while they are loaded, in this process only. To be called
 * before the runtime is imported. The runtime has no switch for it: nothing can turn a defect on by mistake.
 */

import { registerHooks } from "node:module";

/** In a file, below runtime/: the text `from`, which stands there once, becomes `to`. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const RUNTIME = new URL("../../runtime/", import.meta.url);

export function plant(edits: readonly Edit[]): void {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const here = edits.filter(({ file }) => url.split("?")[0] === new URL(file, RUNTIME).href);
      if (here.length === 0) return loaded;
      let source = Buffer.from(loaded.source as Uint8Array).toString("utf8");
      for (const { file, from, to } of here) {
        const parts = source.split(from);
        if (parts.length !== 2) {
          const text = `"${from}" stands ${parts.length - 1} times in runtime/${file}`;
          throw new Error(
            `plant: ${text}; edit test/gas/canaries.ts to plant the defect in the code of today`,
          );
        }
        source = parts.join(to);
      }
      return { ...loaded, source };
    },
  });
}
