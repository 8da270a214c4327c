/**
 * Compiles what most tests run, before they run: the compiler is slow until its own code is warm, which here
 * is once and not in each file of tests. They find the programs in the compiler's cache; without this step
 * they compile them themselves.
 */

import { globSync } from "node:fs";
import { GUESTS, loadGuest } from "../examples/guests.ts";

await Promise.all(GUESTS.map(loadGuest));
const { guest } = await import("./fixture.ts");
for (const pattern of ["*.ts", "batch/*.ts", "stack/*.ts"]) {
  for (const file of globSync(pattern, { cwd: new URL("guests", import.meta.url).pathname }).sort()) {
    // Some take options that only their tests know: those are compiled there.
    await guest(file.slice(0, -".ts".length)).catch(() => undefined);
  }
}
// The compiler's thread would wait for more.
process.exit();
