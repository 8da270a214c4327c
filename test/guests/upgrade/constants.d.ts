/** The constants that the guests beside this file are compiled with. */

declare const VERSION: i32;
declare const BOUND: i32;
