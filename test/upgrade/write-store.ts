/** Makes a store with a chain in the directory that is its argument: for builds that carry other versions. */

import { open } from "./world.ts";

const runtime = await open({ store: process.argv[2] as string });
await runtime.produce(new Uint8Array());
await runtime.close();
process.exit(0);
