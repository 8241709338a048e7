// The network as this page knows it, kept up to date: state by REST, then facts by the event
// stream, each of which makes the things it is about be fetched again, a few times a second at most.
import { type Api, Failed, body, bodyOr, connect } from "../api/client";
import { readEvents } from "../api/events";
import type { Center, Chip, Dataset, Exchange, Job, Link, Transfer } from "../api/view";
import { type Sample, extend, sample } from "./sample";
import { type List, type Stale, everything, fresh, touch } from "./stale";

/** How the page stands with the server. */
export type Standing =
  | { is: "loading" }
  | { is: "live" }
  | { is: "lost"; since: number; retryAt: number; why: string }
  | { is: "refused" };

const NEWEST = 300;
const PAGE = 500;
/** More live jobs than this many pages are not loaded at first. */
const PAGES = 10;
/** So many ended jobs are kept; older ones leave the table. */
const ENDED_KEPT = 2_000;
/** More stale jobs than this are fetched as a page of the list rather than one by one. */
const FEW = 6;
const GAP_MS = 300;
const LONGEST_RETRY_MS = 10_000;

export class Network {
  standing = $state.raw<Standing>({ is: "loading" });
  loaded = $state.raw(false);
  centers = $state.raw<Center[]>([]);
  exchanges = $state.raw<Exchange[]>([]);
  links = $state.raw<Link[]>([]);
  transfers = $state.raw<Transfer[]>([]);
  datasets = $state.raw<Dataset[]>([]);
  /** Chips of the catalog by name. */
  chips = $state.raw(new Map<string, Chip>());
  /** Jobs by id, newest first. */
  jobs = $state.raw(new Map<string, Job>());
  /** Whether there are older jobs than those in `jobs`. */
  more = $state.raw(false);
  samples = $state.raw<Sample[]>([]);
  /** The server's time, as near as the page can tell; moves once a second. */
  now = $state.raw(Date.now());
  /** The last fact seen. */
  fact = $state.raw<number | undefined>();

  readonly api: Api;
  #skew = 0;
  #stale: Stale = fresh();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #refreshing = false;
  #wake: (() => void) | undefined;
  readonly #end = new AbortController();

  constructor(
    readonly base: string,
    readonly token: string,
  ) {
    this.api = connect(base, token);
  }

  /** Begins to follow the network; the returned function ends it. */
  start(): () => void {
    const tick = setInterval(() => this.#tick(), 1_000);
    void this.#follow();
    return () => {
      clearInterval(tick);
      clearTimeout(this.#timer);
      this.#end.abort();
      this.#wake?.();
    };
  }

  /** Tries to connect at once instead of waiting. */
  retry() {
    this.#wake?.();
  }

  #tick() {
    this.now = Date.now() + this.#skew;
    if (this.standing.is !== "live") return;
    // Bookings begin and end by themselves, without a fact.
    if (this.transfers.length > 0 && this.now % 3_000 < 1_000) this.#spoil(["links"]);
    const last = this.samples.at(-1);
    if (this.loaded && (!last || this.now - last.at > 2_000)) this.#sample();
  }

  async #follow() {
    let failures = 0;
    while (!this.#end.signal.aborted) {
      let why = "";
      try {
        await readEvents(this.base, this.token, this.fact, {
          opened: (response) => {
            failures = 0;
            this.#setClock(response);
            this.standing = { is: "live" };
            // Facts missed in between come as events; what has no facts may still have changed.
            if (!this.loaded || this.fact === undefined) void this.#load();
            else this.#spoil(["centers", "links", "transfers"]);
          },
          fact: (fact) => {
            this.fact = Math.max(this.fact ?? 0, fact.number);
            touch(this.#stale, fact.subjects);
            this.#schedule();
          },
        }, this.#end.signal);
      } catch (error) {
        if (this.#end.signal.aborted) return;
        if (error instanceof Failed && error.status === 401) return this.#refuse();
        why = error instanceof Error ? error.message : "";
      }
      await this.#pause(failures++, why);
    }
  }

  /** Waits before the next try to connect, longer each time. */
  #pause(failures: number, why: string): Promise<void> {
    const wait = Math.min(500 * 2 ** failures, LONGEST_RETRY_MS) * (0.75 + Math.random() / 2);
    const now = Date.now() + this.#skew;
    const since = this.standing.is === "lost" ? this.standing.since : now;
    if (!this.#end.signal.aborted) {
      this.standing = { is: "lost", since, retryAt: now + wait, why };
    }
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, wait);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #refuse() {
    this.standing = { is: "refused" };
    this.#end.abort();
  }

  #setClock(response: Response) {
    const date = Date.parse(response.headers.get("date") ?? "");
    const skew = date + 500 - Date.now();
    // The header has whole seconds; a smaller difference is none.
    this.#skew = Math.abs(skew) > 2_000 ? skew : 0;
    this.now = Date.now() + this.#skew;
  }

  async #load() {
    await this.#attempt(everything(), async (stale) => {
      const [jobs] = await Promise.all([this.#firstJobs(), this.#lists(stale.lists)]);
      this.jobs = newestFirst(jobs);
      this.loaded = true;
    });
  }

  #spoil(lists: List[]) {
    for (const list of lists) this.#stale.lists.add(list);
    this.#schedule();
  }

  #schedule() {
    if (this.#refreshing || this.#timer !== undefined || !this.loaded) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#refresh();
    }, GAP_MS);
  }

  async #refresh() {
    const stale = this.#stale;
    this.#stale = fresh();
    await this.#attempt(stale, async () => {
      const [jobs] = await Promise.all([this.#someJobs(stale.jobs), this.#lists(stale.lists)]);
      if (jobs.length > 0) this.jobs = newestFirst([...this.jobs.values(), ...jobs]);
    });
  }

  /** Does `work`; what it was for stays stale when it fails. */
  async #attempt(stale: Stale, work: (stale: Stale) => Promise<void>) {
    this.#refreshing = true;
    try {
      await work(stale);
      this.#sample();
    } catch (error) {
      if (error instanceof Failed && error.status === 401) return this.#refuse();
      for (const list of stale.lists) this.#stale.lists.add(list);
      for (const job of stale.jobs) this.#stale.jobs.add(job);
      // Without the first load there is nothing to show: it is tried until it works.
      if (!this.loaded) setTimeout(() => !this.#end.signal.aborted && void this.#load(), 2_000);
    } finally {
      this.#refreshing = false;
    }
    if (this.#stale.lists.size + this.#stale.jobs.size > 0) this.#schedule();
  }

  async #lists(lists: ReadonlySet<List>) {
    const { api } = this;
    const get: Record<List, () => Promise<void>> = {
      centers: async () => {
        this.centers = (await body(api.GET("/v1/centers"))).centers;
      },
      exchanges: async () => {
        this.exchanges = (await bodyOr(api.GET("/v1/exchanges"), { exchanges: [] })).exchanges;
      },
      links: async () => {
        this.links = (await bodyOr(api.GET("/v1/links"), { links: [] })).links;
      },
      chips: async () => {
        const { chips } = await bodyOr(api.GET("/v1/chips"), { chips: [] });
        this.chips = new Map(chips.map((chip) => [chip.chip, chip]));
      },
      transfers: async () => {
        this.transfers = (await bodyOr(api.GET("/v1/transfers"), { transfers: [] })).transfers;
      },
      datasets: async () => {
        this.datasets = (await bodyOr(api.GET("/v1/datasets"), { datasets: [] })).datasets;
      },
    };
    await Promise.all([...lists].map((list) => get[list]()));
  }

  /** The newest jobs, and all that have not ended. */
  async #firstJobs(): Promise<Job[]> {
    const newest = await body(this.api.GET("/v1/jobs", { params: { query: { limit: NEWEST } } }));
    this.more = newest.next != null;
    const jobs = newest.jobs;
    let before = newest.next;
    for (let page = 0; page < PAGES && before != null; page += 1) {
      const query = { state: "live", limit: PAGE, before };
      const live = await body(this.api.GET("/v1/jobs", { params: { query } }));
      jobs.push(...live.jobs);
      before = live.next;
    }
    return jobs;
  }

  /** These jobs as they are now; those nobody may see or that are gone are left out. */
  async #someJobs(stale: ReadonlySet<string>): Promise<Job[]> {
    const found: Job[] = [];
    const missing = new Set(stale);
    if (stale.size > FEW) {
      const query = { limit: NEWEST };
      for (const job of (await body(this.api.GET("/v1/jobs", { params: { query } }))).jobs) {
        missing.delete(job.job);
        found.push(job);
      }
    }
    // Of jobs older than the page only those shown matter.
    const wanted = stale.size > FEW ? [...missing].filter((job) => this.jobs.has(job)) : [...missing];
    const one = async (job: string) => {
      const params = { path: { job } };
      const detail = await bodyOr(this.api.GET("/v1/jobs/{job}", { params }), undefined);
      if (detail) found.push(detail);
    };
    await Promise.all(wanted.slice(0, 50).map(one));
    for (const job of wanted.slice(50)) this.#stale.jobs.add(job);
    return found;
  }

  #sample() {
    this.now = Date.now() + this.#skew;
    this.samples = extend(this.samples, sample(this.now, this.centers, this.jobs.values()));
  }
}

/** The jobs by id, newest first; of two of one id the later in `jobs` stays. */
function newestFirst(jobs: Job[]): Map<string, Job> {
  const number = (id: string) => Number(id.slice(id.lastIndexOf("-") + 1));
  const byId = new Map(jobs.map((job) => [job.job, job]));
  let ended = 0;
  const kept = [...byId]
    .sort(([a], [b]) => number(b) - number(a))
    .filter(([, job]) => job.ended_ms == null || ++ended <= ENDED_KEPT);
  return new Map(kept);
}
