/** Prices of European options by Black and Scholes' formula, several times over as benchmarks of it do. */

import { allocatePages } from "../../../guest/index.ts";
import { COPIES, rangeOf, runPhase } from "./phases.ts";

export { forked } from "../../../guest/index";

const REPEATS: i32 = 20;
const RATE: f64 = 0.03;
const OPTION_BYTES: i32 = 32;
let count: i32 = 0;
/** Spot, strike, volatility, years. */
let input: usize = 0;
let prices: usize = 0;

export function prepare(size: i64): i64 {
  if (count == 0) {
    count = <i32>size;
    input = allocatePages(count * OPTION_BYTES);
    prices = allocatePages(count * 8);
    for (let i = 0; i < count; i++) {
      const option = input + i * OPTION_BYTES;
      store<f64>(option, 50 + <f64>((i * 31) % 100));
      store<f64>(option, 50 + <f64>((i * 17) % 100), 8);
      store<f64>(option, 0.1 + <f64>((i * 7) % 50) / 100, 16);
      store<f64>(option, 0.1 + <f64>((i * 13) % 40) / 10, 24);
    }
  }
  memory.fill(prices, 0, count * 8);
  return rangeOf(prices, count * 8);
}

export function phases(argument: i64): i64 {
  return 1;
}

export function before(phase: i64): i64 {
  return 0;
}

export function needs(phase: i64): i64 {
  return 0;
}

export function range(id: i64): i64 {
  const bytes = (count / COPIES) * 8;
  return rangeOf(prices + <usize>id * bytes, bytes);
}

export function piece(id: i64): i64 {
  pricePart(<i32>id, 0);
  return 0;
}

export function solve(argument: i64): i64 {
  runPhase(0, pricePart, range(0), range(COPIES - 1));
  return 0;
}

function pricePart(index: i32, phase: i64): void {
  const share = count / COPIES;
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    for (let i = index * share; i < (index + 1) * share; i++) {
      const option = input + i * OPTION_BYTES;
      store<f64>(
        prices + i * 8,
        price(load<f64>(option), load<f64>(option, 8), load<f64>(option, 16), load<f64>(option, 24)),
      );
    }
  }
}

function price(spot: f64, strike: f64, volatility: f64, years: f64): f64 {
  const spread = volatility * Math.sqrt(years);
  const d1 = (Math.log(spot / strike) + (RATE + (volatility * volatility) / 2) * years) / spread;
  return spot * normal(d1) - strike * Math.exp(-RATE * years) * normal(d1 - spread);
}

/** The cumulative normal distribution, by the usual polynomial of degree five. */
function normal(x: f64): f64 {
  const k = 1 / (1 + 0.2316419 * Math.abs(x));
  const polynomial =
    k * (0.31938153 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429))));
  const tail = 0.3989422804014327 * Math.exp((-x * x) / 2) * polynomial;
  return x < 0 ? tail : 1 - tail;
}
