/** What ends an activation. The file's name is the module name of the import. */

export declare function abort(message: string | null, file: string | null, line: u32, column: u32): void;
