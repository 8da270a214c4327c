/**
 * `stillpoint/store`: stores without their runtime. Readers in other processes, verification and repair,
 * export and import of single blocks.
 */

import "./check-node.ts";

export { backupStore } from "./chain/backup.ts";
export {
  type ExportManifest,
  type ExportOptions,
  exportBlock,
  exportManifest,
} from "./chain/export.ts";
export type { FollowEvent } from "./chain/follow.ts";
export { Importer, type ImportOptions, type ImportPin, openImport } from "./chain/import.ts";
export {
  type Damage,
  type LoggedBlock,
  type MaintenanceOptions,
  repairStore,
  salvageStore,
  type Verification,
  type VerifiedBlock,
  verifyStore,
} from "./chain/maintenance.ts";
export { type FollowOptions, openReader, Reader, type ReaderOptions } from "./chain/reader.ts";
