// One job with all that is known of it, fetched again whenever its row changes.
import { type Api, body, bodyOr } from "../api/client";
import type { JobDetail, Why } from "../api/view";
import { Output, type Stream } from "./output";

/** How often a running job's output, or a waiting job's reasons, are looked at again. */
const AGAIN_MS = 2_500;

export class Watch {
  detail = $state.raw<JobDetail>();
  why = $state.raw<Why>();
  /** The end of its newest attempt's output; nothing before one has started. */
  output = $state.raw<{ text: string; cut: boolean }>();
  outputFailure = $state.raw<string>();
  failure = $state.raw<string>();
  stream = $state.raw<Stream>("stdout");

  #log: Output | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;
  #round = 0;

  constructor(
    readonly api: Api,
    readonly job: string,
  ) {}

  /** Fetches everything; again by itself while there is more to come, until `end`. */
  async refresh() {
    clearTimeout(this.#timer);
    const round = ++this.#round;
    const late = () => this.#ended || round !== this.#round;
    try {
      const params = { path: { job: this.job } };
      const detail = await body(this.api.GET("/v1/jobs/{job}", { params }));
      const waits = ["waiting", "held", "blocked"].includes(detail.state);
      const why = waits ? await bodyOr(this.api.GET("/v1/jobs/{job}/why", { params }), undefined) : undefined;
      if (late()) return;
      this.detail = detail;
      this.why = why;
      this.failure = undefined;
      await this.#read(detail, late);
    } catch (error) {
      if (!late()) this.failure = error instanceof Error ? error.message : String(error);
    }
    const over = this.detail?.ended_ms != null && (this.#log === undefined || this.#log.complete);
    if (!late() && !over) this.#timer = setTimeout(() => void this.refresh(), AGAIN_MS);
  }

  /** Shows the other of the two outputs. */
  show(stream: Stream) {
    this.stream = stream;
    this.output = this.outputFailure = undefined;
    void this.refresh();
  }

  end() {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  async #read(detail: JobDetail, late: () => boolean) {
    const started = detail.tries.findLast((t) => t.started_ms != null);
    if (!started) return;
    const epoch = Number(started.attempt.slice(started.attempt.lastIndexOf(".") + 1));
    if (this.#log?.attempt !== epoch || this.#log.stream !== this.stream) {
      this.#log = new Output(this.api, this.job, epoch, this.stream);
    }
    const log = this.#log;
    try {
      await log.read();
      if (late()) return;
      this.output = { text: log.text, cut: log.cut };
      this.outputFailure = undefined;
    } catch (error) {
      if (!late()) this.outputFailure = error instanceof Error ? error.message : String(error);
    }
  }
}
