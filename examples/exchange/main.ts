/** npm run exchange -- [--workers N] [--runner NAME] [--wallets N] [--blocks N] */

import { runCommand } from "../../runtime/cli/terminal.ts";
import { exchangeCommand } from "./demo.ts";

await runCommand(exchangeCommand, process.argv.slice(2));
