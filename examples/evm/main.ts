/** npm start -- [--blocks DIR] [--workers N] [--runner NAME] [--timeline FILE] [--json] */

import { runCommand } from "../../runtime/cli/terminal.ts";
import { evmCommand } from "./demo.ts";

await runCommand(evmCommand, process.argv.slice(2));
