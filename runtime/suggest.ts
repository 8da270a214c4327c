/** "Did you mean": the known word that a mistyped one is closest to. */

/** The closest of `known`, if it is close enough; null if none is. */
export function closest(word: string, known: Iterable<string>): string | null {
  const most = word.length <= 3 ? 1 : word.length <= 7 ? 2 : 3;
  let best: string | null = null;
  let least = most + 1;
  for (const each of known) {
    const found = distance(word.toLowerCase(), each.toLowerCase());
    if (found >= least) continue;
    least = found;
    best = each;
  }
  return best;
}

/** '; did you mean "build"?', or nothing. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const found = closest(word, known);
  return found === null ? "" : `; did you mean ${JSON.stringify(found)}?`;
}

/** The edit distance: insertions, deletions, replacements, and exchanges of neighbouring letters. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      const [above, before] = [rows[i - 1] as number[], rows[i - 2]];
      let least = Math.min(
        (above[j] as number) + 1,
        (row[j - 1] as number) + 1,
        (above[j - 1] as number) + cost,
      );
      const isSwap = j > 1 && before !== undefined && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) least = Math.min(least, (before[j - 2] as number) + 1);
      row.push(least);
    }
    rows.push(row);
  }
  return (rows[a.length] as number[])[b.length] as number;
}
