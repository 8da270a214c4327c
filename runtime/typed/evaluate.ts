/** Numbers that are known when a program is compiled. */

/** Digits, + - * << and brackets, as JavaScript means them; NaN of anything else. */
export function evaluate(text: string): number {
  const tokens = text.match(/0x[\da-f]+|\d+|<<|[-+*()]/gi) ?? [];
  let at = 0;
  const primary = (): number => {
    const token = tokens[at++];
    if (token === "(") {
      const value = shift();
      return tokens[at++] === ")" ? value : Number.NaN;
    }
    return token === undefined ? Number.NaN : Number(token);
  };
  const chain = (next: () => number, operators: Record<string, (a: number, b: number) => number>): number => {
    let value = next();
    for (let apply = operators[tokens[at] ?? ""]; apply !== undefined; apply = operators[tokens[at] ?? ""]) {
      at++;
      value = apply(value, next());
    }
    return value;
  };
  const product = (): number => chain(primary, { "*": (a, b) => a * b });
  const sum = (): number => chain(product, { "+": (a, b) => a + b, "-": (a, b) => a - b });
  const shift = (): number => chain(sum, { "<<": (a, b) => a * 2 ** b });
  const value = shift();
  return at === tokens.length ? value : Number.NaN;
}
