/** npm run ledger -- [--blocks DIR] [--workers N] [--json] */

import { runCommand } from "../../runtime/cli/terminal.ts";
import { ledgerCommand } from "./demo.ts";

await runCommand(ledgerCommand, process.argv.slice(2));
