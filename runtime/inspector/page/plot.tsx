/** Gas over heights, drawn by uPlot. A click picks a height, or Enter at the cursor that arrow keys move. */

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { HeightCell } from "../index-of-blocks.ts";
import { grouped, short } from "./format.ts";

const HEIGHT = 150;

export function Plot({ cells, onPick }: { cells: readonly HeightCell[]; onPick: (height: number) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ cells, onPick });
  latest.current = { cells, onPick };

  useEffect(() => {
    const element = box.current as HTMLDivElement;
    const make = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsFor(element), dataOf(latest.current.cells), element);
    };
    make();
    const sized = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    sized.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", make);
    return () => {
      dark.removeEventListener("change", make);
      sized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => plot.current?.setData(dataOf(cells)), [cells]);

  const picked = (): HeightCell | undefined => latest.current.cells[plot.current?.cursor.idx ?? -1];
  const pick = (): void => {
    const cell = picked();
    if (cell !== undefined) latest.current.onPick(cell.last);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Enter") pick();
    const step = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    if (step === 0 || plot.current === null) return;
    event.preventDefault();
    const last = latest.current.cells.length - 1;
    const index = Math.min(last, Math.max(0, (plot.current.cursor.idx ?? last + 1) + step));
    const left = plot.current.valToPos(latest.current.cells[index]?.first ?? 0, "x");
    plot.current.setCursor({ left, top: 10 });
  };
  const first = cells[0];
  const isSum = first !== undefined && first.last > first.first;
  return (
    <figure class="plot">
      <figcaption>
        Gas by height{isSum ? `, the most of ${grouped(first.last - first.first + 1)} heights` : ""}
      </figcaption>
      <div
        ref={box}
        role="slider"
        tabIndex={0}
        aria-label="Gas by height: arrow keys move, Enter shows the blocks"
        aria-valuenow={first?.first ?? 0}
        onClick={pick}
        onKeyDown={onKeyDown}
      />
    </figure>
  );
}

function dataOf(cells: readonly HeightCell[]): uPlot.AlignedData {
  return [cells.map(({ first }) => first), cells.map(({ gasMax }) => gasMax)];
}

function withHalves({ data }: uPlot, min: number, max: number): uPlot.Range.MinMax {
  const [first = 0, second = first + 1] = data[0];
  return [min - (second - first) / 2, max + (second - first) / 2];
}

function optionsFor(element: HTMLElement): uPlot.Options {
  const style = getComputedStyle(element);
  const [ink, line, fill] = [style.color, style.getPropertyValue("--line"), style.getPropertyValue("--blue")];
  const probe = (value: string): string => {
    const span = document.createElement("span");
    span.style.color = value;
    element.append(span);
    const { color } = getComputedStyle(span);
    span.remove();
    return color;
  };
  const axis = {
    stroke: ink,
    grid: { stroke: probe(line), width: 1 },
    ticks: { show: false },
    font: "12px system-ui",
  };
  return {
    width: element.clientWidth || 600,
    height: HEIGHT,
    cursor: { y: false, drag: { x: false, y: false } },
    legend: { show: true },
    // Half a bar more on both sides, so that the first and the last are whole.
    scales: {
      x: { time: false, range: (plot, min, max) => withHalves(plot, min, max) },
      y: { range: (_, __, max) => [0, max <= 0 ? 1 : max * 1.08] },
    },
    axes: [
      { ...axis, values: (_, all) => all.map((each) => (Number.isInteger(each) ? grouped(each) : "")) },
      { ...axis, size: 64, values: (_, all) => all.map(short) },
    ],
    series: [
      { label: "height", value: (_, value) => (value === null ? "–" : grouped(value)) },
      {
        label: "gas",
        stroke: probe(fill),
        fill: probe(fill),
        width: 0,
        points: { show: false },
        paths: uPlot.paths.bars?.({ size: [0.75, 40], align: 0 }) as uPlot.Series.PathBuilder,
        value: (_, value) => (value === null ? "–" : grouped(value)),
      },
    ],
  };
}
