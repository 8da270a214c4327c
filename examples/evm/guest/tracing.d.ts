/** For editors and the type check only: the compiler asks whether it is defined. */

declare const TRACING: i32;
