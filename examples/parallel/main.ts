/** npm run parallel -- [--workers N] [--children N] [--out FILE] */

import { runCommand } from "../../runtime/cli/terminal.ts";
import { parallelCommand } from "./demo.ts";

await runCommand(parallelCommand, process.argv.slice(2));
