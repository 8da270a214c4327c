/**
 * Root of the parallel example: gives work to n children that run side by side, and puts their results together.
 * The result does not depend on n. Children (worker.ts) are kept from block to block.
 *
 * FORMAT, little-endian.
 * Metadata of a block, at most 16 MiB + 4096:
 *    0  u32 version = 1
 *    4  u32 job: 1 digest, 2 picture
 *    8  u32 children, 1 to 256
 *   12  u32 zero
 *   16  [32] SHA-256 of the worker program (examples/parallel/guest/worker.ts)
 *   48  u64 gas for each child, at most 2^53 - 1
 *   56  u64 zero
 *   job 1, digest of data in chunks:
 *   64  u32 chunkBytes, at least 1
 *   68  u32 rounds, at least 1
 *   72  u32 dataBytes, 0 to 16 MiB
 *   76  u32 zero to 4096, then dataBytes bytes (the metadata's length is 4096 + dataBytes)
 *   job 2, picture of the Mandelbrot set:
 *   64  u32 width   68  u32 height (each at least 1, width × height at most 1,048,576)
 *   72  u32 iterations, 1 to 65,535
 *   76  u32 bytesPerPixel: 1 (grey) or 3 (red, green, blue)
 *   80  f64 left    88  f64 top    96  f64 step (finite): pixel (x, y) is the point (left + x × step, top - y × step)
 *   104 end
 *
 * Data of a block:
 *    0  u32 version = 1 · 4 u32 job · 8 u32 children · 12 u32 resultBytes · 16 u64 gas used by the children · 24 u64 zero
 *   32  the result
 *   digest, 32 bytes: chunk i is data[i × chunkBytes, (i + 1) × chunkBytes), the last one may be shorter;
 *     d = SHA-256(chunk), then rounds - 1 times d = SHA-256(d ‖ chunk); the result is SHA-256(d_0 ‖ d_1 ‖ …)
 *   picture, width × height × bytesPerPixel bytes, row by row: z = 0; while |z|² ≤ 4 and k < iterations: z = z² + c, k += 1.
 *     k = iterations is inside: black. Else grey is 255 - k % 200, colour is (k × 7 % 256, k × 3 % 256, 255 - k × 5 % 256).
 * A message that breaks these rules, or a child that faults, aborts: the block fails, the runtime stays at the one before.
 */
