/** Throws when an entry point of the package is imported by a Node that is too old; they import it first. */

import { UsageError } from "./errors.ts";
import { oldNodeText } from "./node-version.ts";

const text = oldNodeText(globalThis.process?.versions?.node);
if (text !== null) throw new UsageError("NODE_TOO_OLD", `stillpoint ${text}`, {});
