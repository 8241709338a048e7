// What facts have made old. Facts only say *what* they are about; the page asks the API again for
// those things, so that it needs to know neither the kinds of facts nor their content.

/** The lists that are fetched whole. */
export const LISTS = ["centers", "links", "exchanges", "chips", "transfers", "datasets"] as const;
export type List = (typeof LISTS)[number];

/** Things to be fetched again. */
export interface Stale {
  lists: Set<List>;
  jobs: Set<string>;
}

const LISTS_OF: Record<string, List[]> = {
  center: ["centers"],
  exchange: ["exchanges"],
  link: ["links"],
  chip: ["chips"],
  dataset: ["datasets"],
};

/** Adds to `stale` what a fact about `subjects` makes old. */
export function touch(stale: Stale, subjects: readonly string[]) {
  for (const subject of subjects) {
    const [, noun = "", , number] = /^([a-z]+)(:|-(\d+)$)/.exec(subject) ?? [];
    if (number !== undefined && noun === "job") {
      stale.jobs.add(subject);
      stale.lists.add("centers");
    } else if (number !== undefined && noun === "transfer") {
      stale.lists.add("transfers").add("links");
    } else {
      for (const list of LISTS_OF[noun] ?? []) stale.lists.add(list);
    }
  }
}

/** Nothing stale. */
export function fresh(): Stale {
  return { lists: new Set(), jobs: new Set() };
}

/** Everything a page shows. */
export function everything(): Stale {
  return { lists: new Set(LISTS), jobs: new Set() };
}
