// Which ink a chip class is drawn in. The inks themselves are in chart.css, for both themes.

const OF_CLASS: Record<string, number> = {
  cuda: 1,
  cann: 2,
  hip: 3,
  maca: 4,
  neuware: 5,
  musa: 6,
  corex: 7,
  ppu: 8,
};
const INKS = 8;

/** The CSS color of a class; a class nobody has heard of gets one of the same inks. */
export function ink(chipClass: string | undefined): string {
  if (chipClass === undefined || chipClass === "") return "var(--ink-none)";
  const sum = [...chipClass].reduce((n, c) => n + c.charCodeAt(0), 0);
  return `var(--ink-${OF_CLASS[chipClass] ?? 1 + (sum % INKS)})`;
}
